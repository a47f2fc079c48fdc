//! The authentication of a client (RFC 6749, section 2.3; RFC 8705, section 2).

use hyper::header::{AUTHORIZATION, HeaderValue};
use tokio::time::Instant;

use super::OAuthFault;
use super::form::{NamedClient, required};
use crate::http::api::credentials;
use crate::http::api::inbound::Inbound;
use crate::http::api::rejection::Rejection;
use crate::identity::authentication::{self, Basic, BasicHeader};
use crate::identity::sessions::Thumbprint;
use crate::identity::{Identity, Principal};

/// A client that has authenticated itself.
pub(super) struct Client {
    pub(super) principal: Principal,
    /// The certificate that it has done so with, to which its tokens are bound then.
    pub(super) certificate: Option<Thumbprint>,
}

/// Returns the client of a request: by the credentials that were sent, or else by its certificate.
pub(super) async fn authenticated(
    identity: &Identity,
    request: &Inbound<'_>,
    named: NamedClient,
    deadline: Instant,
) -> Result<Client, Rejection> {
    let name = named.id.clone();
    if let Some(principal) = by_password(identity, request, named, deadline).await? {
        return Ok(Client {
            principal,
            certificate: None,
        });
    }
    let certified = credentials::certified_sender(identity, request);
    let (principal, certificate) = certified.ok_or(OAuthFault::WrongClient)?;
    check_name(name.as_deref(), &principal)?;
    Ok(Client {
        principal,
        certificate,
    })
}

/// Checks the client's credentials if any were sent. The grant beside them says who the user is, also
/// in the audit log.
pub(super) async fn check_sent(
    identity: &Identity,
    request: &Inbound<'_>,
    named: NamedClient,
    deadline: Instant,
) -> Result<(), Rejection> {
    by_password(identity, request, named, deadline).await?;
    request.trail.set_client();
    Ok(())
}

async fn by_password(
    identity: &Identity,
    request: &Inbound<'_>,
    named: NamedClient,
    deadline: Instant,
) -> Result<Option<Principal>, Rejection> {
    let NamedClient { id, secret } = named;
    let header = request.headers().get(AUTHORIZATION);
    let of_header = match authentication::basic(header.map(HeaderValue::as_bytes)) {
        BasicHeader::Absent => None,
        BasicHeader::Malformed => return Err(OAuthFault::WrongClient.into()),
        BasicHeader::Present(basic) => Some(basic).filter(|basic| !is_empty(basic)),
    };
    let meanings = match (of_header, secret) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(OAuthFault::TwoClients.into()),
        (Some(basic), None) => basic.meanings(),
        (None, Some(password)) => {
            let user = required(id.clone(), "client_id")?;
            vec![Basic { user, password }]
        }
    };
    let wrong = OAuthFault::WrongClient.into();
    let principal = credentials::login_by(identity, &meanings, request, wrong, deadline).await?;
    check_name(id.as_deref(), &principal)?;
    Ok(Some(principal))
}

/// A client that names itself beside its credentials has to be theirs.
fn check_name(name: Option<&str>, principal: &Principal) -> Result<(), OAuthFault> {
    if name.is_some_and(|name| name != &*principal.user().email) {
        return Err(OAuthFault::WrongClient);
    }
    Ok(())
}

/// Returns whether a client without a name has sent a header all the same, as Go's does.
fn is_empty(basic: &Basic) -> bool {
    basic.user.is_empty() && basic.password.reveal().is_empty()
}
