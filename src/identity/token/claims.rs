//! The claims of a token.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::key_id::KeyId;
use crate::identity::directory::PasswordVersion;
use crate::identity::sessions::{Session, SessionId, Thumbprint};

/// The use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Calling the APIs.
    Access,
    /// Getting a new pair.
    Refresh,
}

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's email.
    #[serde(rename = "sub")]
    pub email: String,
    /// The time of issue, in seconds of Unix time.
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
    /// The time from which it is no longer accepted, in seconds of Unix time.
    #[serde(rename = "exp")]
    pub expires_at_s: u64,
    /// Makes each token different from every other.
    #[serde(rename = "jti")]
    pub id: String,
    /// The token's use.
    #[serde(rename = "use")]
    pub usage: Use,
    /// The version of the user's password at that time: another password ends the token.
    #[serde(rename = "stamp")]
    pub password_version: PasswordVersion,
    /// The session. Tokens of earlier versions have none, and hold until they expire.
    #[serde(rename = "sid", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The time of the log-in, in milliseconds of Unix time.
    #[serde(rename = "log", default, skip_serializing_if = "Option::is_none")]
    pub begun_ms: Option<u64>,
    /// The number of refreshes since the log-in.
    #[serde(rename = "gen", default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The client certificate that has to be shown with the token (RFC 8705, section 3).
    #[serde(rename = "cnf", default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Thumbprint>,
    /// The key that signed the token, by which it ends when the key is removed.
    #[serde(skip)]
    pub key: KeyId,
}

/// The claims as they are signed: with the issuer and the audience (RFC 7519, sections 4.1.1 and
/// 4.1.3), which tokens of earlier versions do not have.
#[derive(Serialize)]
pub(super) struct Signed<'a> {
    #[serde(rename = "iss")]
    pub(super) issuer: &'a str,
    #[serde(rename = "aud")]
    pub(super) audience: &'static str,
    #[serde(flatten)]
    pub(super) claims: &'a Claims,
}

impl Claims {
    /// Returns the token's session. That of a token without one began when it was issued.
    pub fn session(&self) -> Session {
        let issued_ms = self.issued_at_s.saturating_mul(1000);
        Session {
            id: self.session,
            begun_ms: self.begun_ms.unwrap_or(issued_ms),
            generation: self.generation.unwrap_or_default(),
            certificate: self.certificate,
        }
    }

    /// Returns whether the token has expired. There is no leeway: at `exp` it has.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        seconds(now) >= self.expires_at_s
    }
}

/// Returns whole seconds of Unix time; a clock before 1970 counts as 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
