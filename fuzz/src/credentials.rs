//! Any bytes as `Cookie` and `Authorization` headers: the last line is the one, the lines before it
//! are the others. Checked: nothing panics; the token is what a plain reading finds; no token that
//! we did not sign is taken; credentials are what was encoded.

use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iem_gateway::config::Config;
use iem_gateway::identity::authentication::{BasicHeader, access_token, basic};
use iem_gateway::identity::token::{SigningKey, Tokens, Use};

static TOKENS: LazyLock<Tokens> =
    LazyLock::new(|| Tokens::new(&SigningKey::random(), &Config::default().tokens));

/// Checks one input.
pub fn check(headers: &[u8]) {
    let lines: Vec<&[u8]> = headers.split(|byte| *byte == b'\n').collect();
    let (authorization, cookies) = lines
        .split_last()
        .expect("a split gives one piece at least");

    let token = access_token(cookies.iter().copied(), Some(authorization));
    if let Some(cookie) = plain_cookie(cookies) {
        assert_eq!(token, Some(cookie));
    }
    if let Some(token) = token {
        assert!(!token.is_empty());
        for usage in [Use::Access, Use::Refresh] {
            assert!(TOKENS.verify(token, usage, SystemTime::UNIX_EPOCH).is_err());
        }
    }

    if let BasicHeader::Present(credentials) = basic(Some(authorization)) {
        let text = format!("{}:{}", credentials.user, credentials.password.reveal());
        let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        let encoded = authorization.trim_ascii()["Basic".len()..].trim_ascii();
        let unpadded = |bytes: &[u8]| STANDARD.encode(bytes).trim_end_matches('=').to_owned();
        let sent = std::str::from_utf8(encoded)
            .expect("base64 is ASCII")
            .trim_end_matches('=');
        assert!(
            sent == unpadded(text.as_bytes())
                || latin1.is_some_and(|bytes| sent == unpadded(&bytes))
        );
    }
}

/// The first cookie of the name, read the slow way; none when it is empty.
pub(crate) fn plain_cookie<'a>(cookies: &[&'a [u8]]) -> Option<&'a [u8]> {
    for header in cookies {
        for pair in header.split(|byte| *byte == b';') {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            if name.trim_ascii() == b"access_token" {
                let value = value.trim_ascii();
                let quoted = value.len() >= 2 && value.starts_with(b"\"") && value.ends_with(b"\"");
                let value = if quoted {
                    &value[1..value.len() - 1]
                } else {
                    value
                };
                return (!value.is_empty()).then_some(value);
            }
        }
    }
    None
}
