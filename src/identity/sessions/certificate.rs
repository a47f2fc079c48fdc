//! The client certificate that a session is bound to (RFC 8705, section 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The SHA-256 digest of a client certificate in DER. Tokens carry it as the claim `cnf` with the
/// member `x5t#S256` (RFC 8705, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Confirmation", into = "Confirmation")]
pub struct Thumbprint(pub [u8; 32]);

/// The claim as it is written.
#[derive(Serialize, Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

impl From<Thumbprint> for Confirmation {
    fn from(Thumbprint(digest): Thumbprint) -> Self {
        Self {
            thumbprint: URL_SAFE_NO_PAD.encode(digest),
        }
    }
}

impl TryFrom<Confirmation> for Thumbprint {
    type Error = &'static str;

    fn try_from(confirmation: Confirmation) -> Result<Self, Self::Error> {
        URL_SAFE_NO_PAD
            .decode(confirmation.thumbprint)
            .ok()
            .and_then(|digest| digest.try_into().ok())
            .map(Self)
            .ok_or("`x5t#S256` is not a SHA-256 digest in base64url")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_written_as_rfc_8705_says() {
        let thumbprint = Thumbprint(std::array::from_fn(|index| {
            u8::try_from(7 * index).unwrap()
        }));
        let text = serde_json::to_string(&thumbprint).unwrap();
        let digest = "AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK-2vcTL0tk";
        assert_eq!(text, format!(r#"{{"x5t#S256":"{digest}"}}"#));
        assert_eq!(
            serde_json::from_str::<Thumbprint>(&text).unwrap(),
            thumbprint
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "{}",
            r#"{"x5t#S256":""}"#,
            r#"{"x5t#S256":"AAcO"}"#,
            r#"{"x5t#S256":"AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk="}"#,
            r#"{"x5t#S256":5}"#,
        ] {
            assert!(serde_json::from_str::<Thumbprint>(text).is_err(), "{text}");
        }
    }
}
