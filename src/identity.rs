//! Authenticates callers and decides what they may do.
//!
//! [`authentication`] reads credentials from header bytes, [`Identity`] finds their user, and
//! [`authorization`] decides what that user may do. The directory's current snapshot is asked at
//! each request: a cache saves the cryptography, never the look-up, so a revocation applies at once
//! to tokens already issued.
//!
//! Nothing here knows HTTP's statuses and messages, and no secret is ever logged or printed.

// Some of it is for the directory in a database alone.
#![cfg_attr(not(feature = "postgres"), allow(dead_code, unused_imports))]

pub mod authentication;
pub mod authorization;
pub mod directory;
#[cfg(test)]
mod example;
mod hashing;
mod last_token;
mod limits;
mod login;
pub mod oidc;
pub mod password;
mod peer;
mod principal;
mod private_file;
pub mod quota;
pub mod sessions;
pub mod token;
mod verified;

use std::net::IpAddr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use moka::sync::Cache;
use tokio::time::Instant;

use authentication::Basic;
use directory::{LiveDirectory, PasswordVersion};
use login::Logins;
use oidc::Issuer;
use sessions::{Rotations, Session, Thumbprint, Turn};
use token::{Claims, IssueError, TokenError, TokenPair, Tokens, Use};
use verified::Verified;

use crate::config::Config;
use crate::telemetry::audit;

pub use hashing::Busy;
pub use last_token::LastToken;
pub use login::LoginError;
pub use peer::Peer;
pub use principal::Principal;

/// Counters since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Access tokens that had been verified before.
    pub token_hits: u64,
    /// Access tokens that had to be verified, bad ones included.
    pub token_misses: u64,
    /// Logins with wrong credentials.
    pub failed_logins: u64,
}

/// Finds the user of credentials.
pub struct Identity {
    directory: Arc<LiveDirectory>,
    tokens: Tokens,
    issuer: Option<Arc<Issuer>>,
    logins: Arc<Logins>,
    /// Random: digests of tokens mean nothing outside this process.
    key: [u8; 32],
    verified: Cache<[u8; 32], Arc<Verified>>,
    rotations: Arc<Rotations>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Identity {
    /// Reads no file and starts no thread.
    pub fn new(directory: Arc<LiveDirectory>, tokens: Tokens, config: &Config) -> Self {
        let tokens_config = &config.tokens;
        let rotations = Rotations::new(tokens_config.cache_entries, tokens_config.refresh_lifetime);
        let logins = Logins::new(config);
        let logins = Arc::new(if directory.is_shared() {
            logins.shared()
        } else {
            logins
        });
        directory.share_logins(Arc::clone(&logins) as _);
        Self {
            rotations: directory.share_refreshes(rotations),
            logins,
            directory,
            tokens,
            issuer: None,
            key: rand::random(),
            verified: Cache::new(config.tokens.cache_entries as u64),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Accepts the tokens of this issuer too, if there is one.
    #[must_use]
    pub fn trusting(self, issuer: Option<Arc<Issuer>>) -> Self {
        Self { issuer, ..self }
    }

    /// Returns the issuer of external tokens, if there is one.
    pub fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.issuer.as_ref()
    }

    /// Returns the tokens, which have the key ring.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Returns the directory, which has the current snapshot.
    pub fn directory(&self) -> &Arc<LiveDirectory> {
        &self.directory
    }

    /// Returns the user of an access token, on a connection whose last token was `last` and whose
    /// client has shown this certificate. The hot path: it compares the connection's last token, or
    /// computes a digest for a token that another connection sent before.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] also if the user was removed, disabled or has another password
    /// since, if the session has ended, if the key was removed, or if the token is bound to another
    /// certificate.
    pub fn principal(
        &self,
        token: &[u8],
        certificate: Option<Thumbprint>,
        last: &LastToken,
        now: SystemTime,
    ) -> Result<Principal, TokenError> {
        let verified = if let Some(verified) = last.verified(token) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            verified
        } else {
            let verified = self.verified(token, now)?;
            last.set(token, &verified);
            verified
        };
        let claims = &verified.claims;
        // The user comes first: the token of a user who is gone is invalid, however old.
        let principal = if self.tokens.has_key(claims) {
            self.find(claims, certificate)?
        } else {
            self.find_external(&verified)?
        };
        if claims.has_expired(now) {
            Err(TokenError::Expired)
        } else {
            Ok(principal)
        }
    }

    /// Returns the claims of a token that may have expired, from the cache of all connections or by
    /// verifying it. An external token is told from ours here, where it has to be verified.
    fn verified(&self, token: &[u8], now: SystemTime) -> Result<Arc<Verified>, TokenError> {
        let digest = blake3::keyed_hash(&self.key, token).into();
        if let Some(verified) = self.verified.get(&digest) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(verified);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let claims = match (self.tokens.read(token, Use::Access), &self.issuer) {
            (Err(_), Some(issuer)) => issuer.verify(token, now)?,
            (read, _) => read?,
        };
        let verified = Arc::new(Verified::new(claims));
        self.verified.insert(digest, Arc::clone(&verified));
        Ok(verified)
    }

    /// Returns the user of Basic credentials, for a peer at this address.
    ///
    /// # Errors
    /// See [`LoginError`]. A failure counts for the pair of user and peer, and for the peer.
    pub async fn login(&self, basic: &Basic, peer: IpAddr) -> Result<Principal, LoginError> {
        self.login_by(Self::login_deadline(), slice::from_ref(basic), peer)
            .await
    }

    /// As [`login`](Self::login), for credentials that may be meant in several ways, of which the
    /// first counts most. They are one attempt.
    ///
    /// # Errors
    /// As [`login`](Self::login), and [`LoginError::Busy`] if no hash has begun at `deadline`.
    pub async fn login_by(
        &self,
        deadline: Instant,
        meanings: &[Basic],
        peer: IpAddr,
    ) -> Result<Principal, LoginError> {
        self.logins
            .login_by(deadline, &self.directory, meanings, peer)
            .await
    }

    /// Returns the user of Basic credentials that were verified a short time ago, if nothing has changed
    /// since. It costs no hash, and is no log-in.
    pub fn recall(&self, basic: &Basic, peer: IpAddr) -> Option<Principal> {
        self.logins.recalled(&self.directory, basic, peer)
    }

    /// Returns the latest time for the last hash of a request that begins now.
    pub fn login_deadline() -> Instant {
        Instant::now() + login::WAIT_MAX
    }

    /// Ends the session of a token, if it is one of this user's. Another's, or what is no token of
    /// ours, changes nothing. Returns whether a session has ended.
    pub fn revoke(&self, principal: &Principal, token: &[u8], now: SystemTime) -> bool {
        let user = principal.user();
        let read = |usage| self.tokens.read(token, usage).ok();
        let claims = read(Use::Access).or_else(|| read(Use::Refresh));
        let claims = claims.filter(|claims| *claims.email == *user.email);
        let Some(claims) = claims.filter(|claims| claims.session.is_some()) else {
            return false;
        };
        let (password, session) = (claims.password_version, claims.session());
        let ended = self.directory.ended();
        if ended.load().contains(&user.email, password, &session) {
            return false;
        }
        ended.end_one(&user.email, password, &session, now);
        true
    }

    /// Returns the user that a verified client certificate is mapped to.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if there is no such user or the user is disabled, as for the user's
    /// token.
    pub fn certified(&self, email: &str) -> Result<Principal, TokenError> {
        let directory = self.directory.load();
        let user = directory
            .user(email)
            .filter(|user| user.enabled)
            .ok_or(TokenError::Invalid)?;
        Ok(Principal::new(Arc::clone(user)))
    }

    /// Begins a session of a user who has logged in, with this client certificate if not by
    /// password.
    pub fn begin(
        &self,
        principal: &Principal,
        certificate: Option<Thumbprint>,
        now: SystemTime,
    ) -> Session {
        let user = principal.user();
        let ended = self.directory.ended().load();
        let mut session = Session {
            certificate,
            ..Session::begin(now)
        };
        // It begins after all that have ended, also by the clock of whoever ended them.
        if let Some(until_ms) = ended.until(&user.email, user.password_version) {
            session.begun_ms = session.begun_ms.max(until_ms.saturating_add(1));
        }
        session
    }

    /// Returns the user of a session that began by a log-in with this password, unless it has
    /// ended since or the user was removed, disabled or has another password.
    pub fn resume(
        &self,
        email: &str,
        password: PasswordVersion,
        session: &Session,
    ) -> Option<Principal> {
        let ended = self.directory.ended().load();
        if ended.contains(email, password, session) {
            return None;
        }
        Principal::find(&self.directory.load(), email, password)
    }

    /// Issues a new pair of tokens of a session.
    pub fn issue(
        &self,
        principal: &Principal,
        session: &Session,
        now: SystemTime,
    ) -> Result<TokenPair, IssueError> {
        self.tokens.issue(principal.user(), session, now)
    }

    /// Returns the user of a refresh token, and the session as it goes on. A token that was used
    /// before ends its session.
    ///
    /// # Errors
    /// As [`Identity::principal`], and [`TokenError::Invalid`] for a token that was used before.
    pub fn refresh(
        &self,
        token: impl AsRef<[u8]>,
        certificate: Option<Thumbprint>,
        now: SystemTime,
    ) -> Result<(Principal, Session), TokenError> {
        let claims = self.tokens.verify(token.as_ref(), Use::Refresh, now)?;
        let principal = self.find(&claims, certificate)?;
        let session = claims.session();
        if self.tokens.has_ended(&session, now) {
            return Err(TokenError::Expired);
        }
        if let Some(id) = session.id {
            let user = principal.user();
            let turn = self
                .rotations
                .turn(&user.email, id, session.generation, now);
            if turn == Turn::Reused {
                tracing::warn!(user = %user.email, "a refresh token came again: its session ends");
                audit::sessions_ended(&user.email, "one, whose refresh token came again");
                let ended = self.directory.ended();
                ended.end_one(&user.email, user.password_version, &session, now);
                return Err(TokenError::Invalid);
            }
        }
        Ok((principal, session.refreshed()))
    }

    /// Returns the counters since the start, for metrics.
    pub fn counts(&self) -> Counts {
        Counts {
            token_hits: self.hits.load(Ordering::Relaxed),
            token_misses: self.misses.load(Ordering::Relaxed),
            failed_logins: self.logins.failures(),
        }
    }

    /// Returns the user of a token of ours, unless the user is gone, the session has ended, or the
    /// token is bound to another certificate.
    fn find(
        &self,
        claims: &Claims,
        certificate: Option<Thumbprint>,
    ) -> Result<Principal, TokenError> {
        let is_bound = claims.certificate.is_some();
        if is_bound && claims.certificate != certificate {
            return Err(TokenError::Invalid);
        }
        self.resume(&claims.email, claims.password_version, &claims.session())
            .ok_or(TokenError::Invalid)
    }

    /// Returns the user of an external token, unless the issuer's key or the user is gone, the user
    /// was logged out since the token was issued, or is a superadmin whom such tokens may not name.
    /// The key tells that the token is external. No password stands behind it, so any version will
    /// do.
    #[inline(never)]
    fn find_external(&self, verified: &Verified) -> Result<Principal, TokenError> {
        let claims = &verified.claims;
        let issuer = self.issuer.as_ref().ok_or(TokenError::Invalid)?;
        let ended = self.directory.ended().load();
        let has_ended = ended.contains_external(&claims.email, claims.session().begun_ms);
        if !issuer.has_key(claims.key)? || has_ended {
            return Err(TokenError::Invalid);
        }
        let directory = self.directory.load();
        let user = directory.user(&claims.email).filter(|user| user.enabled);
        let user = user.filter(|user| !user.superadmin || issuer.may_name_superadmins());
        let user = Arc::clone(user.ok_or(TokenError::Invalid)?);
        Ok(if verified.accept() {
            Principal::logging_in(user)
        } else {
            Principal::new(user)
        })
    }
}

#[cfg(test)]
mod tests;
