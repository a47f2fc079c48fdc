//! Access and refresh tokens: JWTs (RFC 7519) signed with HMAC-SHA-256 and a local key.
//!
//! All gateways with the same key file issue and accept the same tokens, so gateways behind a
//! balancer share nothing else. A token names the user, never the user's rights: those are looked
//! up at each request. Only HS256 is accepted, and no token of one use is accepted for the other.

mod hs256;
mod key;

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

pub use key::{KeyError, SigningKey};

use super::directory::{PasswordVersion, User};
use super::sessions::{Session, SessionId};
use crate::config;

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
}

impl Claims {
    /// Returns the token's session. That of a token without one began when it was issued.
    pub fn session(&self) -> Session {
        let issued_ms = self.issued_at_s.saturating_mul(1000);
        Session {
            id: self.session,
            begun_ms: self.begun_ms.unwrap_or(issued_ms),
            generation: self.generation.unwrap_or_default(),
        }
    }

    /// Returns whether the token has expired. There is no leeway: at `exp` it has.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        seconds(now) >= self.expires_at_s
    }
}

/// An access token and the refresh token that goes with it. Secrets: neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// For calling the APIs.
    pub access: String,
    /// For getting the next pair.
    pub refresh: String,
}

/// Issues and verifies tokens.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    config: config::Tokens,
}

/// Longer than any token of ours: an email has at most 254 bytes, the other claims are short.
const TOKEN_BYTES_MAX: usize = 4096;

impl Tokens {
    /// Signs with `key`.
    pub fn new(key: &SigningKey, config: &config::Tokens) -> Self {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked here, against the time that is given, and after everything else.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            signing: EncodingKey::from_secret(key.as_bytes()),
            verifying: DecodingKey::from_secret(key.as_bytes()),
            validation,
            config: config.clone(),
        }
    }

    /// Issues a new pair for a session of `user`. No token outlives the session.
    pub fn issue(
        &self,
        user: &User,
        session: &Session,
        now: SystemTime,
    ) -> Result<TokenPair, IssueError> {
        Ok(TokenPair {
            access: self.sign(user, session, Use::Access, now)?,
            refresh: self.sign(user, session, Use::Refresh, now)?,
        })
    }

    /// Returns whether the session's lifetime is over.
    pub fn has_ended(&self, session: &Session, now: SystemTime) -> bool {
        seconds(now) >= session.end_s(self.config.session_lifetime)
    }

    /// Returns the claims of `token`, if it is ours, is meant for `usage` and has not expired.
    ///
    /// # Errors
    /// [`TokenError::Expired`] only for a token that is ours and meant for `usage`;
    /// [`TokenError::Invalid`] otherwise.
    pub fn verify(&self, token: &[u8], usage: Use, now: SystemTime) -> Result<Claims, TokenError> {
        let claims = self.read(token, usage)?;
        if claims.has_expired(now) {
            Err(TokenError::Expired)
        } else {
            Ok(claims)
        }
    }

    /// As [`verify`](Self::verify), for a token that may have expired.
    ///
    /// # Errors
    /// [`TokenError::Invalid`].
    pub fn read(&self, token: &[u8], usage: Use) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation);
        let claims = decoded.map_err(|_| TokenError::Invalid)?.claims;
        if claims.usage == usage {
            Ok(claims)
        } else {
            Err(TokenError::Invalid)
        }
    }

    fn sign(
        &self,
        user: &User,
        session: &Session,
        usage: Use,
        now: SystemTime,
    ) -> Result<String, IssueError> {
        let lifetime = match usage {
            Use::Access => self.config.access_lifetime,
            Use::Refresh => self.config.refresh_lifetime,
        };
        let issued_at_s = seconds(now);
        let claims = Claims {
            email: user.email.to_string(),
            issued_at_s,
            expires_at_s: issued_at_s
                .saturating_add(lifetime.as_secs())
                .min(session.end_s(self.config.session_lifetime)),
            id: format!("{:032x}", rand::random::<u128>()),
            usage,
            password_version: user.password_version,
            session: session.id,
            begun_ms: Some(session.begun_ms),
            generation: (usage == Use::Refresh).then_some(session.generation),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|_| IssueError)
    }
}

/// Returns whole seconds of Unix time; a clock before 1970 counts as 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The reason why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not issued by a gateway with this key, not for this use, or its user is gone.
    #[error("invalid token")]
    Invalid,
    /// Ours, but no longer accepted.
    #[error("expired token")]
    Expired,
}

/// A token could not be signed. Does not happen with a key that [`SigningKey`] read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssueError;

#[cfg(test)]
mod tests;
