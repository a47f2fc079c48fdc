//! `POST /oauth2/revoke` (RFC 7009): ends the session of a token.

use super::OAuthFault;
use super::client;
use super::form::{Form, required};
use crate::http::api::inbound::Inbound;
use crate::http::api::rejection::Rejection;
use crate::http::api::resources::Resources;
use crate::http::api::response::Success;
use crate::http::transport::Answer;
use crate::identity::Identity;

/// Answers the request as `docs/contract.md#oauth-2` says, once the end is on disk. The answer does
/// not tell whether the token was one of the user's.
pub(crate) async fn revoke(
    resources: &Resources,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let form = Form::read(resources, request).await?;
    let identity = &resources.identity;
    let Form { token, client, .. } = form;
    let deadline = Identity::login_deadline();
    let client = client::authenticated(identity, request, client, deadline).await?;
    let token = required(token, "token")?;
    if identity.revoke(&client.principal, token.as_bytes(), request.received) {
        request.trail.set_revoked();
    }
    // Also for a session that had ended already: its end may not be on disk yet.
    if !identity.directory().ended().saved().await {
        return Err(OAuthFault::NotSaved.into());
    }
    Ok(Success::Revoked.into_answer())
}
