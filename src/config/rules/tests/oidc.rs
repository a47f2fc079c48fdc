//! The rules of `[oidc]`.

use super::{broken, hold};
use crate::config::tests::refused;

#[test]
fn external_tokens() {
    broken(&[
        (
            "oidc = { issuer = 'http://idp.example/realm', audience = 'iem' }",
            "oidc.issuer: http://idp.example/realm is not on loopback: use https, so that nobody \
             can put other keys in",
        ),
        (
            "oidc = { issuer = 'https://idp.example', audience = 'iem', keys_url = 'http://a/b?c' }",
            "oidc.keys_url: http://a/b?c is not on loopback: use https, so that nobody can put \
             other keys in",
        ),
        (
            "oidc = { issuer = 'https://idp.example/?a=b', audience = 'iem' }",
            "oidc.issuer: must have no query (OpenID Connect Discovery 1.0, section 3)",
        ),
        (
            "oidc.claim = ''",
            "oidc.claim: must be 1 to 128 bytes, is 0",
        ),
        (
            "oidc = { issuer = 'http://[::1]:80', audience = 'iem', ca_file = 'ca.pem' }",
            "oidc.ca_file: needs an oidc.issuer or an oidc.keys_url with https",
        ),
        (
            "oidc.refresh = '999ms'",
            "oidc.refresh: must be 1s to 1d, is 999ms",
        ),
    ]);
    refused(
        "oidc.issuer = 'https://idp.example'",
        &[],
        "default: oidc.audience: must not be empty where there is an issuer: its tokens for others \
         would be accepted",
    );
    hold(&[
        "oidc = { issuer = 'https://login.example/a-tenant/v2.0', audience = 'api://iem' }",
        "oidc = { issuer = 'http://localhost:8080/realms/iem/', audience = 'iem' }",
        "oidc = { issuer = 'https://idp.example/', audience = 'iem', ca_file = 'ca.pem' }",
        "oidc.keys_url = 'https://idp.example/keys?p=one'",
    ]);
}
