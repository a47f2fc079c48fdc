//! SASL OAUTHBEARER: the access token, a JWT (RFC 7519), read from a file that something else
//! renews.
//!
//! librdkafka asks for a token at start and again when four fifths of its life have passed. The
//! token is only passed on: brokers verify it, nothing here does.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;

/// Reads the token, and from its claims whose it is (`sub`) and when it ends (`exp`).
///
/// # Errors
/// What is wrong with the file. Nothing of its contents is in the message.
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
    fn the_claims_say_whose_the_token_is_and_until_when() {
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
    fn a_bad_file_is_named_and_not_quoted() {
        let error = read("/nonexistent/token").err().unwrap().to_string();
        assert!(error.contains("/nonexistent/token"));
    }
}
