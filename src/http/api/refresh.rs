//! `POST /api/v1/user/token/refresh`: a refresh token for a new pair of tokens.

use serde::Deserialize;

use super::credentials;
use super::inbound::Inbound;
use super::rejection::Rejection;
use super::resources::Resources;
use super::token;
use crate::http::transport::Answer;

/// Several times a refresh token. The sender has shown nothing yet, so nothing more is held.
const BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Deserialize)]
struct RefreshRequest {
    refresh_token: String,
}

/// Answers the request as `docs/contract.md#1-token` says.
pub(super) async fn refresh(
    resources: &Resources,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let data = request
        .collect_without_credentials(resources, BODY_BYTES_MAX)
        .await?;
    let RefreshRequest { refresh_token } =
        serde_json::from_slice(&data).map_err(|_| Rejection::NoRefreshToken)?;
    let (principal, session) =
        credentials::refreshed(&resources.identity, request, &refresh_token)?;
    token::issue(&resources.identity, &principal, &session, request.received)
}
