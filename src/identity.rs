//! Who is calling, and what they may do.
//!
//! [`authentication`] reads credentials from header bytes, [`Identity`] says whose they are,
//! [`authorization`] says what that user may do. The directory's current snapshot has the last word
//! at each request: a cache only saves the cryptography, never the look-up, so a revocation holds
//! at once on tokens already issued.
//!
//! Nothing here knows of HTTP's statuses and messages, and nothing secret is ever logged or
//! printed.

pub mod authentication;
pub mod authorization;
pub mod directory;
#[cfg(test)]
mod example;
mod limits;
mod login;
pub mod password;
mod private_file;
pub mod quota;
pub mod token;

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use moka::sync::Cache;

use authentication::Basic;
use constant_time_eq::constant_time_eq;
use directory::{Directory, LiveDirectory, Stamp, User};
pub use limits::{FailuresPerMinute, Peer};
use login::Logins;
pub use login::{LoginError, LoginSettings};
use token::{Claims, IssueError, TokenError, TokenPair, Tokens, Use};

/// Somebody who proved who they are. They may no longer be what they were: hold it for one request.
#[derive(Clone, Debug)]
pub struct Principal(Arc<User>);

impl Principal {
    /// The user, as the directory had it at that moment.
    pub fn user(&self) -> &Arc<User> {
        &self.0
    }

    /// The same principal in another snapshot, if the user is still there, enabled and with the
    /// same password.
    pub fn again(&self, directory: &Directory) -> Option<Self> {
        Self::find(directory, &self.0.email, self.0.stamp)
    }

    /// The user, if still there, enabled and with the same password.
    fn find(directory: &Directory, email: &str, stamp: Stamp) -> Option<Self> {
        let user = directory.user(email)?;
        (user.enabled && user.stamp == stamp).then(|| Self(Arc::clone(user)))
    }
}

/// The last access token that one connection showed, and what it says: most show the same one with
/// each request.
#[derive(Default)]
pub struct Shown(RefCell<Option<ShownToken>>);

struct ShownToken {
    token: Box<[u8]>,
    claims: Arc<Claims>,
}

impl Shown {
    /// Takes the same time for any token of one length.
    fn claims(&self, token: &[u8]) -> Option<Arc<Claims>> {
        let shown = self.0.borrow();
        let shown = shown
            .as_ref()
            .filter(|shown| constant_time_eq(&shown.token, token))?;
        Some(Arc::clone(&shown.claims))
    }
}

/// Bounds of [`Identity`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Verified access tokens to remember, about 400 bytes each; 100,000 by default.
    pub tokens: u64,
    /// Bounds on logins.
    pub logins: LoginSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tokens: 100_000,
            logins: LoginSettings::default(),
        }
    }
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Access tokens that had been verified before.
    pub token_hits: u64,
    /// Access tokens that had to be verified, bad ones included.
    pub token_misses: u64,
    /// Logins with wrong credentials.
    pub failed_logins: u64,
}

/// Says whose credentials they are.
pub struct Identity {
    directory: Arc<LiveDirectory>,
    tokens: Tokens,
    logins: Logins,
    /// Random: digests of tokens mean nothing outside this process.
    key: [u8; 32],
    verified: Cache<[u8; 32], Arc<Claims>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Identity {
    /// Nothing is read or started here.
    pub fn new(directory: Arc<LiveDirectory>, tokens: Tokens, settings: Settings) -> Self {
        Self {
            directory,
            tokens,
            logins: Logins::new(settings.logins),
            key: rand::random(),
            verified: Cache::new(settings.tokens),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The directory's current snapshot is in here.
    pub fn directory(&self) -> &Arc<LiveDirectory> {
        &self.directory
    }

    /// Whose access token this is, on a connection that has `shown` others. The hot path: nothing
    /// but a comparison for the connection's last token, nothing but a digest for one that
    /// another connection has shown.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] also if the user was removed, disabled or has another password
    /// since.
    pub fn principal(
        &self,
        token: &[u8],
        shown: &Shown,
        now: SystemTime,
    ) -> Result<Principal, TokenError> {
        let claims = if let Some(claims) = shown.claims(token) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            claims
        } else {
            let claims = self.verified(token)?;
            *shown.0.borrow_mut() = Some(ShownToken {
                token: token.into(),
                claims: Arc::clone(&claims),
            });
            claims
        };
        // Whose it was comes first: the token of a user who is gone is none, however old.
        let principal = self.find(&claims)?;
        if claims.has_expired(now) {
            Err(TokenError::Expired)
        } else {
            Ok(principal)
        }
    }

    /// What the token says, whatever its age, from the cache of all connections or by verifying it.
    fn verified(&self, token: &[u8]) -> Result<Arc<Claims>, TokenError> {
        let digest = blake3::keyed_hash(&self.key, token).into();
        if let Some(claims) = self.verified.get(&digest) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(claims);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let claims = Arc::new(self.tokens.read(token, Use::Access)?);
        self.verified.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }

    /// Whose password this is, for a peer at this address.
    ///
    /// # Errors
    /// See [`LoginError`]. A failure counts for the pair of user and peer, and for the peer.
    pub async fn login(&self, basic: &Basic, peer: IpAddr) -> Result<Principal, LoginError> {
        self.logins.login(&self.directory, basic, peer).await
    }

    /// The user that a verified client certificate stands for.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if there is no such user, or a disabled one: as that user's token
    /// would be.
    pub fn certified(&self, email: &str) -> Result<Principal, TokenError> {
        let directory = self.directory.load();
        let user = directory
            .user(email)
            .filter(|user| user.enabled)
            .ok_or(TokenError::Invalid)?;
        Ok(Principal(Arc::clone(user)))
    }

    /// A new pair of tokens.
    pub fn issue(&self, principal: &Principal, now: SystemTime) -> Result<TokenPair, IssueError> {
        self.tokens.issue(&principal.0, now)
    }

    /// Whose refresh token this is.
    ///
    /// # Errors
    /// As [`Identity::principal`].
    pub fn refresh(
        &self,
        token: impl AsRef<[u8]>,
        now: SystemTime,
    ) -> Result<Principal, TokenError> {
        self.find(&self.tokens.verify(token.as_ref(), Use::Refresh, now)?)
    }

    /// What was counted since the start, for metrics.
    pub fn counts(&self) -> Counts {
        Counts {
            token_hits: self.hits.load(Ordering::Relaxed),
            token_misses: self.misses.load(Ordering::Relaxed),
            failed_logins: self.logins.failures(),
        }
    }

    fn find(&self, claims: &Claims) -> Result<Principal, TokenError> {
        Principal::find(&self.directory.load(), &claims.email, claims.stamp)
            .ok_or(TokenError::Invalid)
    }
}

#[cfg(test)]
mod tests;
