//! `GET /.well-known/oauth-authorization-server` (RFC 8414): the calls of OAuth 2 and how they are
//! used.

use std::borrow::Cow;

use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use serde::Serialize;

use crate::config::{Server, is_authority};

/// The metadata.
#[derive(Serialize)]
pub(crate) struct Metadata<'a> {
    issuer: Cow<'a, str>,
    token_endpoint: String,
    revocation_endpoint: String,
    grant_types_supported: [&'static str; 3],
    token_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    /// There is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    /// Tokens of a client that shows a certificate are bound to it (RFC 8705, section 3.3).
    tls_client_certificate_bound_access_tokens: bool,
}

/// The ways in which a client may authenticate itself. For some grants it need not.
const METHODS: &[&str] = &[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "tls_client_auth",
];

/// Returns the metadata as `docs/contract.md#oauth-2` says.
pub(crate) fn metadata<'s>(server: &'s Server, head: &Parts) -> Metadata<'s> {
    let takes_certificates = server.tls.requests_certificates();
    let methods = if takes_certificates {
        METHODS
    } else {
        &METHODS[..3]
    };
    let issuer = issuer(server, head);
    Metadata {
        token_endpoint: format!("{issuer}/oauth2/token"),
        revocation_endpoint: format!("{issuer}/oauth2/revoke"),
        grant_types_supported: ["client_credentials", "password", "refresh_token"],
        token_endpoint_auth_methods_supported: methods,
        revocation_endpoint_auth_methods_supported: &methods[1..],
        response_types_supported: [],
        tls_client_certificate_bound_access_tokens: takes_certificates,
        issuer,
    }
}

/// Returns the configured URL, or the one that the client has named.
fn issuer<'s>(server: &'s Server, head: &Parts) -> Cow<'s, str> {
    if !server.url.is_empty() {
        return Cow::Borrowed(&server.url);
    }
    let scheme = if server.tls.is_on() { "https" } else { "http" };
    let of_uri = head.uri.authority().map(Authority::as_str);
    let named = of_uri.or_else(|| head.headers.get(HOST)?.to_str().ok());
    let host = named.filter(|host| is_authority(host));
    let host = host.map_or_else(|| server.listen.to_string(), str::to_owned);
    Cow::Owned(format!("{scheme}://{host}"))
}
