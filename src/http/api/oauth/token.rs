//! `POST /oauth2/token` (RFC 6749, section 3.2): a grant for tokens.

use tokio::time::Instant;

use super::OAuthFault;
use super::client;
use super::form::{Form, required};
use crate::http::api::credentials;
use crate::http::api::inbound::Inbound;
use crate::http::api::rejection::Rejection;
use crate::http::api::resources::Resources;
use crate::http::api::response::Success;
use crate::http::api::token;
use crate::http::transport::Answer;
use crate::identity::authentication::Basic;
use crate::identity::sessions::Session;
use crate::identity::{Identity, Principal};

/// Answers the request as `docs/contract.md#oauth-2` says.
pub(crate) async fn token(
    resources: &Resources,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let form = Form::read(resources, request).await?;
    let identity = &resources.identity;
    let deadline = Identity::login_deadline();
    let grant = required(form.grant_type.as_deref(), "grant_type")?;
    let has_refresh_token = grant != "client_credentials";
    let (principal, session) = match grant {
        "client_credentials" => client_credentials(identity, request, form, deadline).await?,
        "password" => password(identity, request, form, deadline).await?,
        "refresh_token" => refresh_token(identity, request, form, deadline).await?,
        _ => return Err(OAuthFault::UnknownGrant.into()),
    };
    let pair = token::pair(identity, &principal, &session, request.received)?;
    Ok(Success::OAuthTokens {
        access: &pair.access,
        access_s: pair.access_s,
        refresh: has_refresh_token.then_some(&*pair.refresh),
    }
    .into_answer())
}

/// Begins a session of the client itself (section 4.4).
async fn client_credentials(
    identity: &Identity,
    request: &Inbound<'_>,
    Form { client, .. }: Form,
    deadline: Instant,
) -> Result<(Principal, Session), Rejection> {
    let client = client::authenticated(identity, request, client, deadline).await?;
    let session = identity.begin(&client.principal, client.certificate, request.received);
    Ok((client.principal, session))
}

/// Begins a session of the user with this name and password (section 4.3), whichever client sends
/// them.
async fn password(
    identity: &Identity,
    request: &Inbound<'_>,
    form: Form,
    deadline: Instant,
) -> Result<(Principal, Session), Rejection> {
    let Form {
        username,
        password,
        client,
        ..
    } = form;
    let user = required(username, "username")?;
    let password = required(password, "password")?;
    client::check_sent(identity, request, client, deadline).await?;
    let user = [Basic { user, password }];
    let wrong = OAuthFault::WrongPassword.into();
    let principal = credentials::login_by(identity, &user, request, wrong, deadline).await?;
    let session = identity.begin(&principal, None, request.received);
    Ok((principal, session))
}

/// Returns the session of a refresh token as it goes on (section 6), whichever client sends it.
async fn refresh_token(
    identity: &Identity,
    request: &Inbound<'_>,
    form: Form,
    deadline: Instant,
) -> Result<(Principal, Session), Rejection> {
    let Form {
        refresh_token,
        client,
        ..
    } = form;
    let token = required(refresh_token, "refresh_token")?;
    client::check_sent(identity, request, client, deadline).await?;
    credentials::refreshed(identity, request, &token)
}
