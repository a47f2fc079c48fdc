//! `POST /api/v1/user/token`: a login for a pair of tokens.

use std::time::SystemTime;

use super::credentials;
use super::inbound::Inbound;
use super::rejection::Rejection;
use super::response::Success;
use crate::http::transport::Answer;
use crate::identity::sessions::Session;
use crate::identity::token::TokenPair;
use crate::identity::{Identity, Principal, authorization};

/// Answers the request as `docs/contract.md#1-token` says.
pub(super) async fn token(identity: &Identity, request: &Inbound<'_>) -> Result<Answer, Rejection> {
    let (principal, certificate) = credentials::login_sender(identity, request).await?;
    let session = identity.begin(&principal, certificate, request.received);
    issue(identity, &principal, &session, request.received)
}

/// Returns the answer with a new pair of tokens of a session, if the user may have one.
pub(super) fn issue(
    identity: &Identity,
    principal: &Principal,
    session: &Session,
    now: SystemTime,
) -> Result<Answer, Rejection> {
    let user = principal.user();
    let pair = pair(identity, principal, session, now)?;
    let directory = identity.directory().load();
    let customers = authorization::associations(&directory, user);
    Ok(Success::Tokens {
        user,
        customers,
        pair,
    }
    .into_answer())
}

/// Returns a new pair of tokens of a session, if the user may have one.
pub(super) fn pair(
    identity: &Identity,
    principal: &Principal,
    session: &Session,
    now: SystemTime,
) -> Result<TokenPair, Rejection> {
    authorization::may_call(principal.user())?;
    identity.issue(principal, session, now).map_err(|error| {
        tracing::error!(%error, "cannot sign a token");
        Rejection::Internal
    })
}
