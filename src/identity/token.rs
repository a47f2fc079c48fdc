//! Access and refresh tokens: JWTs (RFC 7519) signed with HMAC-SHA-256 and a key of a local ring.
//!
//! All gateways with the same keys issue and accept the same tokens, so gateways behind a balancer
//! share nothing else. A token names the user, never the user's rights: those are looked
//! up at each request. Only HS256 is accepted, and no token of one use is accepted for the other.

mod claims;
mod hs256;
mod key;
mod key_files;
mod key_id;
pub(super) mod provider;
mod public_key;
mod ring;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::Guard;

pub use claims::{Claims, Use};
pub use key::{KeyError, SigningKey};
pub use key_files::KeyFiles;
pub use key_id::KeyId;
pub use ring::Ring;

use super::directory::User;
use super::sessions::Session;
use crate::config;
use crate::follow::{Followed, Follower};
pub(super) use claims::seconds;

/// An access token and the refresh token that goes with it. Secrets: neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// For calling the APIs.
    pub access: String,
    /// For getting the next pair.
    pub refresh: String,
    /// The seconds for which the access token holds.
    pub access_s: u64,
}

/// Issues and verifies tokens.
pub struct Tokens {
    keys: Keys,
    config: config::Tokens,
    issuer: Arc<str>,
}

/// The origin of the key ring.
enum Keys {
    /// No file is followed.
    Fixed(Arc<Ring>),
    Followed(Arc<Followed<KeyFiles>>),
}

impl Keys {
    fn load(&self) -> Guard<Arc<Ring>> {
        match self {
            Self::Fixed(ring) => Guard::from_inner(Arc::clone(ring)),
            Self::Followed(files) => files.load(),
        }
    }
}

/// The issuer of the tokens of a gateway without a URL.
const ISSUER: &str = "iem-gateway";

/// Longer than any token of ours: an email has at most 254 bytes, the other claims are short.
const TOKEN_BYTES_MAX: usize = 4096;

impl Tokens {
    /// Signs and verifies with `key` alone.
    pub fn new(key: &SigningKey, config: &config::Tokens) -> Self {
        Self {
            keys: Keys::Fixed(Arc::new(Ring::new([key]))),
            config: config.clone(),
            issuer: ISSUER.into(),
        }
    }

    /// Signs and verifies with the configured keys, of which the first is created if there is none.
    /// Blocks.
    ///
    /// # Errors
    /// A key cannot be read or created, or others may read it.
    pub fn open(config: &config::Tokens) -> Result<Self, KeyError> {
        let files = KeyFiles::new(config);
        files.create_first(SystemTime::now())?;
        Ok(Self {
            keys: Keys::Followed(Arc::new(Followed::open(files)?)),
            config: config.clone(),
            issuer: ISSUER.into(),
        })
    }

    /// Names the gateway's URL as the issuer of its tokens, if it has one.
    #[must_use]
    pub fn issued_by(self, url: &str) -> Self {
        if url.is_empty() {
            return self;
        }
        Self {
            issuer: url.into(),
            ..self
        }
    }

    /// Starts the thread that keeps the keys up to date until the `Follower` is dropped; `None` if
    /// there is no file to follow.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn follow(&self) -> io::Result<Option<Follower>> {
        match &self.keys {
            Keys::Fixed(_) => Ok(None),
            Keys::Followed(files) => Follower::start(Arc::clone(files)).map(Some),
        }
    }

    /// Returns why the keys as they are now are not in use; `None` if they are.
    pub fn error(&self) -> Option<KeyError> {
        match &self.keys {
            Keys::Fixed(_) => None,
            Keys::Followed(files) => files.error(),
        }
    }

    /// Returns the time at which the key that signs at `now` was created; 1970 if its file does not
    /// say.
    pub fn signer_created(&self, now: SystemTime) -> Option<SystemTime> {
        self.keys.load().signer_created(self.config.key_delay, now)
    }

    /// Returns the keys with the times of their creation, the newest last, and the one that signs at
    /// `now`.
    pub fn keys(&self, now: SystemTime) -> (Vec<(KeyId, SystemTime)>, Option<KeyId>) {
        let ring = self.keys.load();
        let keys = ring.keys().collect();
        (keys, ring.signer(self.config.key_delay, now))
    }

    /// Reads the keys again. Blocks.
    ///
    /// # Errors
    /// The keys are not valid. This is logged once and returned each time; those in use stay.
    pub fn reload(&self) -> Result<(), KeyError> {
        match &self.keys {
            Keys::Fixed(_) => Ok(()),
            Keys::Followed(files) => files.reload(),
        }
    }

    /// Returns whether the key that signed these claims is still there. It never blocks and never
    /// allocates.
    pub fn has_key(&self, claims: &Claims) -> bool {
        self.keys.load().contains(claims.key)
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
            access_s: self.expires_at_s(session, Use::Access, now) - seconds(now),
        })
    }

    /// Returns the second of Unix time at which a token issued `now` expires.
    fn expires_at_s(&self, session: &Session, usage: Use, now: SystemTime) -> u64 {
        let lifetime = match usage {
            Use::Access => self.config.access_lifetime,
            Use::Refresh => self.config.refresh_lifetime,
        };
        let now_s = seconds(now);
        now_s
            .saturating_add(lifetime.as_secs())
            .min(session.end_s(self.config.session_lifetime))
            .max(now_s)
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
        let claims = self.keys.load().verify(token).ok_or(TokenError::Invalid)?;
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
        let claims = Claims {
            email: user.email.to_string(),
            issued_at_s: seconds(now),
            expires_at_s: self.expires_at_s(session, usage, now),
            id: format!("{:032x}", rand::random::<u128>()),
            usage,
            password_version: user.password_version,
            session: session.id,
            begun_ms: Some(session.begun_ms),
            generation: (usage == Use::Refresh).then_some(session.generation),
            certificate: session.certificate,
            key: KeyId::default(),
        };
        let ring = self.keys.load();
        ring.sign(&self.issuer, &claims, self.config.key_delay, now)
            .ok_or(IssueError)
    }
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
    /// The external issuer's keys have to be fetched before it can be judged.
    #[error("token whose key is unknown yet")]
    KeysAwaited,
}

/// A token could not be signed. Does not happen with a key that [`SigningKey`] read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct IssueError;

#[cfg(test)]
mod tests;
