//! The credentials of a request, and the user that they prove.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderValue};

use super::inbound::Inbound;
use super::rejection::Rejection;
use crate::identity::authentication::{self, Basic, BasicHeader};
use crate::identity::sessions::Thumbprint;
use crate::identity::token::TokenError;
use crate::identity::{Identity, LoginError, Principal};

/// Returns the access token of a request with these headers.
pub fn access_token(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    authentication::access_token(cookies, authorization(headers))
}

fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)
}

/// Returns the sender of records: the holder of a token, or else of a client certificate. `None` if
/// the request has neither.
pub(super) fn holder(
    identity: &Identity,
    request: &Inbound<'_>,
) -> Option<Result<Principal, TokenError>> {
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
    }
    principal
}

/// Returns the sender of a ticket's change: the holder of a token, or else of Basic credentials, or
/// else of a client certificate.
pub(super) async fn ticket_sender(
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
        BasicHeader::Absent => {
            request.trail.set_log_in();
            let principal = certified(identity, request)
                .and_then(Result::ok)
                .ok_or(Rejection::WrongLogin)?;
            request.trail.set_user(&principal.user().email);
            Ok((principal, thumbprint(request)))
        }
    }
}

/// Returns the digest of the client's certificate.
pub(super) fn thumbprint(request: &Inbound<'_>) -> Option<Thumbprint> {
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

async fn login(
    identity: &Identity,
    basic: &Basic,
    request: &Inbound<'_>,
    wrong: Rejection,
) -> Result<Principal, Rejection> {
    request.trail.set_log_in();
    if let Some(user) = identity.directory().load().user(&basic.user) {
        request.trail.set_user(&user.email);
    }
    identity
        .login(basic, request.client.address)
        .await
        .inspect(|_| request.client.authenticate())
        .map_err(|error| match error {
            LoginError::Invalid => wrong,
            LoginError::TooMany { retry_after } => Rejection::TooManyAttempts { retry_after },
            LoginError::Busy(_) => Rejection::LoginsBusy,
        })
}
