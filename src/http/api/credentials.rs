//! The credentials of a request, and the user that they prove.

use std::slice;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderValue};
use tokio::time::Instant;

use super::inbound::Inbound;
use super::rejection::Rejection;
use super::resources::Resources;
use crate::identity::authentication::{self, Basic, BasicHeader};
use crate::identity::sessions::{Session, Thumbprint};
use crate::identity::token::TokenError;
use crate::identity::{Identity, Principal};

/// Returns the access token of a request with these headers.
pub fn access_token(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    authentication::access_token(cookies, authorization(headers))
}

fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)
}

/// Returns the holder of a token, or else of a client certificate. `None` if the request has neither.
fn holder(identity: &Identity, request: &Inbound<'_>) -> Option<Result<Principal, TokenError>> {
    let principal = match access_token(request.headers()) {
        Some(token) => {
            let last = &request.connection.last_token;
            let holder = identity.principal(token, thumbprint(request), last, request.received);
            Some(holder.inspect(|_| request.client.authenticate()))
        }
        None => certified(identity, request),
    };
    if let Some(Ok(principal)) = &principal {
        request.trail.set_user(&principal.user().email);
        if principal.has_logged_in() {
            request.trail.set_log_in();
        }
    }
    principal
}

/// Returns the sender of records: the holder of a token, or else of Basic credentials where they are
/// taken, or else of a client certificate.
pub(super) async fn publisher(
    resources: &Resources,
    request: &Inbound<'_>,
) -> Result<Principal, Rejection> {
    let principal = publisher_by_any(resources, request).await?;
    trace(resources, request);
    Ok(principal)
}

/// Begins the trace of a request whose sender is known now.
fn trace(resources: &Resources, request: &Inbound<'_>) {
    request.begin_trace(resources);
    request.trace.first_stage("authenticate");
}

async fn publisher_by_any(
    resources: &Resources,
    request: &Inbound<'_>,
) -> Result<Principal, Rejection> {
    let identity = &resources.identity;
    let takes_basic = resources.server.basic;
    let headers = request.headers();
    if takes_basic && access_token(headers).is_none() {
        match authentication::basic(authorization(headers)) {
            BasicHeader::Absent => {}
            BasicHeader::Malformed => return Err(Rejection::WrongPublisher),
            BasicHeader::Present(basic) => {
                if let Some(principal) = identity.recall(&basic, request.client.address) {
                    request.client.authenticate();
                    request.trail.set_user(&principal.user().email);
                    return Ok(principal);
                }
                return login(identity, &basic, request, Rejection::WrongPublisher).await;
            }
        }
    }
    let missing = if takes_basic {
        Rejection::MissingCredentials
    } else {
        Rejection::MissingToken
    };
    Ok(holder(identity, request).ok_or(missing)??)
}

/// Returns the sender of a ticket's change: the holder of a token, or else of Basic credentials, or
/// else of a client certificate.
pub(super) async fn ticket_sender(
    resources: &Resources,
    request: &Inbound<'_>,
) -> Result<Principal, Rejection> {
    let principal = ticket_sender_by_any(&resources.identity, request).await?;
    trace(resources, request);
    Ok(principal)
}

async fn ticket_sender_by_any(
    identity: &Identity,
    request: &Inbound<'_>,
) -> Result<Principal, Rejection> {
    let headers = request.headers();
    if access_token(headers).is_none() {
        match authentication::basic(authorization(headers)) {
            BasicHeader::Absent => {}
            BasicHeader::Malformed => return Err(Rejection::WrongCredentials),
            BasicHeader::Present(basic) => {
                return login(identity, &basic, request, Rejection::WrongCredentials).await;
            }
        }
    }
    Ok(holder(identity, request).ok_or(Rejection::AccessDenied)??)
}

/// Returns the user who asks for tokens: by Basic credentials, or else by a client certificate, to
/// which the tokens are bound then.
pub(super) async fn login_sender(
    identity: &Identity,
    request: &Inbound<'_>,
) -> Result<(Principal, Option<Thumbprint>), Rejection> {
    match authentication::basic(authorization(request.headers())) {
        BasicHeader::Present(basic) => {
            let principal = login(identity, &basic, request, Rejection::WrongLogin).await?;
            Ok((principal, None))
        }
        BasicHeader::Malformed => Err(Rejection::WrongLogin),
        BasicHeader::Absent => certified_sender(identity, request).ok_or(Rejection::WrongLogin),
    }
}

/// Returns the user that the client's certificate is mapped to, and the certificate.
pub(super) fn certified_sender(
    identity: &Identity,
    request: &Inbound<'_>,
) -> Option<(Principal, Option<Thumbprint>)> {
    request.trail.set_log_in();
    let principal = certified(identity, request)?.ok()?;
    request.trail.set_user(&principal.user().email);
    Some((principal, thumbprint(request)))
}

/// Returns the user of a refresh token, and the session as it goes on.
pub(super) fn refreshed(
    identity: &Identity,
    request: &Inbound<'_>,
    token: &str,
) -> Result<(Principal, Session), Rejection> {
    let (principal, session) = identity
        .refresh(token, thumbprint(request), request.received)
        .map_err(|_| Rejection::WrongRefreshToken)?;
    request.client.authenticate();
    request.trail.set_user(&principal.user().email);
    Ok((principal, session))
}

/// Returns the digest of the client's certificate.
fn thumbprint(request: &Inbound<'_>) -> Option<Thumbprint> {
    request.client.thumbprint.copied().map(Thumbprint)
}

/// Returns the user that the client's certificate is mapped to. A connection without one any more
/// ends.
fn certified(identity: &Identity, request: &Inbound<'_>) -> Option<Result<Principal, TokenError>> {
    let email = request.client.certified?;
    let user = identity.certified(email);
    match &user {
        Ok(_) => request.client.authenticate(),
        Err(_) => request.is_last.set(true),
    }
    Some(user)
}

/// Returns the user of Basic credentials. Wrong ones are rejected as `wrong`.
async fn login(
    identity: &Identity,
    basic: &Basic,
    request: &Inbound<'_>,
    wrong: Rejection,
) -> Result<Principal, Rejection> {
    let deadline = Identity::login_deadline();
    login_by(identity, slice::from_ref(basic), request, wrong, deadline).await
}

/// As [`login`], for credentials that may have several meanings, and with the latest time for a hash
/// to begin.
pub(super) async fn login_by(
    identity: &Identity,
    meanings: &[Basic],
    request: &Inbound<'_>,
    wrong: Rejection,
    deadline: Instant,
) -> Result<Principal, Rejection> {
    request.trail.set_log_in();
    let directory = identity.directory().load();
    if let Some(user) = meanings
        .iter()
        .find_map(|basic| directory.user(&basic.user))
    {
        request.trail.set_user(&user.email);
    }
    drop(directory);
    let result = identity.login_by(deadline, meanings, request.client.address);
    result
        .await
        .inspect(|_| request.client.authenticate())
        .map_err(|error| Rejection::of_log_in(error, wrong))
}
