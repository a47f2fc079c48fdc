//! Access tokens for SASL OAUTHBEARER: a JWT (RFC 7519), read from a file that another program
//! renews.
//!
//! librdkafka asks for a token at start, and again when four fifths of its lifetime have passed.
//! The token is passed on unverified: the brokers verify it.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;

/// Reads the token, and from its claims the principal (`sub`) and the expiry (`exp`).
///
/// # Errors
/// The fault of the file. The message quotes nothing of its content.
pub(crate) fn read(path: &str) -> Result<OAuthToken, Box<dyn Error>> {
    let token =
        std::fs::read_to_string(path).map_err(|error| format!("the token file {path}: {error}"))?;
    parse(token.trim())
        .ok_or_else(|| format!("the token file {path} holds no JWT with `sub` and `exp`").into())
}

fn parse(token: &str) -> Option<OAuthToken> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    Some(OAuthToken {
        token: token.to_owned(),
        principal_name: claims.get("sub")?.as_str()?.to_owned(),
        lifetime_ms: claims.get("exp")?.as_i64()?.checked_mul(1000)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_and_expiry_come_from_the_claims() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"gateway","exp":1767225600}"#);
        let token = parse(&format!("e30.{claims}.c2ln")).unwrap();
        assert_eq!(
            (token.principal_name.as_str(), token.lifetime_ms),
            ("gateway", 1_767_225_600_000)
        );
        for bad in ["", "a.b", "e30.e30.", "e30.!.", "only"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let error = read("/nonexistent/token").err().unwrap().to_string();
        assert!(error.contains("/nonexistent/token"));
    }
}
