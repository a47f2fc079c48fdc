//! Logs users in by password: the limits on failures come first, then the credentials verified
//! before, then the hash.
//!
//! The response time does not tell an unknown or disabled user, or one without a password, from a
//! wrong password: each costs one hash, and waits for it alike.

mod names;
mod standings;
mod turns;
mod untold;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::MonotonicClock;
use moka::sync::Cache;
use tokio::time::Instant;

use super::authentication::Basic;
use super::directory::{Directory, FailedLogins, Failures, LiveDirectory, PasswordVersion, User};
use super::hashing::{Busy, Hashing};
use super::limits::{LoginLimits, Origin};
use super::password::{Password, PasswordHash};
use super::peer::Peer;
use super::principal::Principal;
use crate::config::Config;
use names::{SharedNames, name_of, user_named};
use standings::Standings;
use turns::Turns;
use untold::Untold;

/// Logins that may wait for a password hash: more than are hashed in that time, so that who comes
/// last need not be last.
const WAITING_MAX: usize = 1024;
/// The time for which verified credentials are remembered. The directory is asked in any case.
const REMEMBERED: Duration = Duration::from_mins(5);
/// The longest wait of a login until its hash begins; after that it is answered that the gateway is
/// busy. Clients give up after 15 s, and the rest of the request needs time too.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(3);

/// Failures at another gateway that are counted at once.
const ELSEWHERE_MAX: u32 = 1_000;

/// The reason why a login did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Unknown or disabled user, or wrong password; the client is not told which.
    #[error("invalid username or password")]
    Invalid,
    /// Too many failed attempts: not even right credentials are checked.
    #[error("too many failed attempts")]
    TooMany {
        /// The time until the next attempt is checked.
        retry_after: Duration,
    },
    /// More logins at once than the gateway can hash.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// Verifies passwords.
pub(super) struct Logins {
    /// Random: digests of credentials mean nothing outside this process.
    key: [u8; 32],
    limits: Arc<LoginLimits>,
    standings: Arc<Standings>,
    verified: Cache<[u8; 32], Verified>,
    turns: Arc<Turns>,
    untold: Arc<Untold>,
    names: SharedNames,
    pub(super) hashing: Hashing,
}

/// The user of verified credentials, and the version of the password that they had.
#[derive(Clone)]
struct Verified {
    email: Arc<str>,
    password_version: PasswordVersion,
}

/// Credentials to hash, with the user whose password they may be.
struct Candidate {
    user: Option<Arc<User>>,
    password: Password,
    attempt: Attempt,
}

/// One attempt, in digests.
#[derive(Clone, Copy)]
struct Attempt {
    origin: Origin,
    credentials: [u8; 32],
}

impl Logins {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            key: rand::random(),
            limits: Arc::new(LoginLimits::new(&config.login, &MonotonicClock)),
            standings: Arc::new(Standings::new()),
            verified: Cache::builder()
                .max_capacity(config.tokens.cache_entries as u64)
                .time_to_live(REMEMBERED)
                .build(),
            turns: Arc::default(),
            untold: Arc::default(),
            names: SharedNames::default(),
            hashing: Hashing::new(config.server.password_permits(), WAITING_MAX),
        }
    }

    /// Returns them in such a way that other gateways are told of log-ins that fail.
    #[must_use]
    pub(super) fn shared(mut self) -> Self {
        let mut untold = Untold::default();
        untold.keep();
        self.untold = Arc::new(untold);
        self
    }

    /// Returns the user whose credentials these are, in the meanings that they may have. All waits
    /// together end at `deadline`. Attempts of one user from one peer are checked one after another:
    /// parallel guesses cannot exceed the limit, and of parallel right ones only the first costs a
    /// hash.
    ///
    /// All meanings are one attempt, which counts for the users of all of them. Its hashes do not
    /// tell which users there are: one if the meanings are of several, or else one for each password.
    pub(super) async fn login_by(
        &self,
        deadline: Instant,
        directory: &LiveDirectory,
        meanings: &[Basic],
        peer: IpAddr,
    ) -> Result<Principal, LoginError> {
        let attempts: Vec<_> = meanings
            .iter()
            .map(|basic| self.attempt(basic, peer))
            .collect();
        if let Some(principal) = self.recall(&directory.load(), &attempts)? {
            return Ok(principal);
        }
        let mut turns = Vec::with_capacity(attempts.len());
        for origin in origins(&attempts) {
            turns.push(self.turns.take(origin, deadline).await?);
        }
        if let Some(principal) = self.recall(&directory.load(), &attempts)? {
            return Ok(principal);
        }
        let candidates = candidates(&directory.load(), meanings, &attempts);
        let standing = candidates.last().map(|last| last.attempt.origin);
        let standing = self.standings.of(&standing.ok_or(LoginError::Invalid)?);
        let check = self.hash_check(&directory.load(), candidates, attempts, peer);
        let verified = self
            .hashing
            .run(&standing, deadline, move || {
                let _turns = turns;
                check()
            })
            .await??;
        // The directory may have changed during the hash.
        Principal::find(
            &directory.load(),
            &verified.email,
            verified.password_version,
        )
        .ok_or(LoginError::Invalid)
    }

    /// Returns the user of credentials that were verified before, if the limits allow an attempt.
    pub(super) fn recalled(
        &self,
        directory: &LiveDirectory,
        basic: &Basic,
        peer: IpAddr,
    ) -> Option<Principal> {
        let attempt = self.attempt(basic, peer);
        self.recall(&directory.load(), &[attempt]).ok().flatten()
    }

    /// Returns the number of failed attempts since the start.
    pub(super) fn failures(&self) -> u64 {
        self.limits.failures()
    }

    fn attempt(&self, basic: &Basic, peer: IpAddr) -> Attempt {
        let user = blake3::keyed_hash(&self.key, basic.user.as_bytes());
        let mut credentials = blake3::Hasher::new_keyed(&self.key);
        credentials
            .update(user.as_bytes())
            .update(basic.password.reveal().as_bytes());
        Attempt {
            origin: Origin {
                // At all gateways that share failures the same.
                user: self.names.user(&basic.user).unwrap_or(user.into()),
                peer: peer.into(),
            },
            credentials: credentials.finalize().into(),
        }
    }

    /// Returns the user, if the credentials were verified before in one of their meanings and are
    /// still valid.
    fn recall(
        &self,
        directory: &Directory,
        attempts: &[Attempt],
    ) -> Result<Option<Principal>, LoginError> {
        check_limits(&self.limits, attempts)?;
        let mut verified = attempts
            .iter()
            .filter_map(|attempt| self.verified.get(&attempt.credentials));
        Ok(verified.find_map(|verified| {
            Principal::find(directory, &verified.email, verified.password_version)
        }))
    }

    /// Returns the work for the hashing thread. It counts and remembers by itself, so that a client
    /// that disconnects before the response is counted as well.
    fn hash_check(
        &self,
        directory: &Directory,
        candidates: Vec<Candidate>,
        attempts: Vec<Attempt>,
        peer: IpAddr,
    ) -> impl FnOnce() -> Result<Verified, LoginError> + Send + 'static {
        let decoy = PasswordHash::decoy(directory.cost());
        let limits = Arc::clone(&self.limits);
        let standings = Arc::clone(&self.standings);
        let remembered = self.verified.clone();
        let untold = Arc::clone(&self.untold);
        let told = attempts.iter().filter(|_| self.names.are_shared());
        let names: HashSet<_> = told.map(|attempt| name_of(&attempt.origin.user)).collect();
        move || {
            check_limits(&limits, &attempts)?;
            for Candidate {
                user,
                password,
                attempt,
            } in candidates
            {
                // Without a password the hash is as dear, and nothing is right.
                let hash = user.as_ref().and_then(|user| user.password());
                let right = hash.unwrap_or(&decoy).verify(&password) && hash.is_some();
                let Some(user) = user.filter(|user| right && user.enabled) else {
                    continue;
                };
                let verified = Verified {
                    email: Arc::clone(&user.email),
                    password_version: user.password_version,
                };
                standings.succeeded(attempt.origin);
                remembered.insert(attempt.credentials, verified.clone());
                return Ok(verified);
            }
            limits.count(origins(&attempts));
            if let Some(attempt) = attempts.first() {
                standings.failed(attempt.origin.peer);
            }
            for name in names {
                untold.count(name, peer);
            }
            Err(LoginError::Invalid)
        }
    }
}

impl FailedLogins for Logins {
    fn take_untold(&self) -> Failures {
        self.untold.take()
    }

    fn put_back(&self, untold: Failures) {
        self.untold.put_back(untold);
    }

    fn count_elsewhere(&self, name: u32, peer: IpAddr, failures: u32) {
        let origin = Origin {
            user: user_named(name),
            peer: Peer::from(peer),
        };
        for _ in 0..failures.min(ELSEWHERE_MAX) {
            self.limits.count_elsewhere(&origin);
            self.standings.failed(origin.peer);
        }
    }

    fn set_key(&self, key: [u8; 32]) {
        self.names.set_key(key);
    }
}

/// Returns the origins of the attempts, each once.
fn origins(attempts: &[Attempt]) -> impl Iterator<Item = Origin> {
    let mut last = None;
    attempts
        .iter()
        .map(|attempt| attempt.origin)
        .filter(move |origin| last.replace(*origin) != Some(*origin))
}

fn check_limits(limits: &LoginLimits, attempts: &[Attempt]) -> Result<(), LoginError> {
    for origin in origins(attempts) {
        limits
            .check(&origin)
            .map_err(|retry_after| LoginError::TooMany { retry_after })?;
    }
    Ok(())
}

/// Returns the credentials to hash. Of meanings with several users it is one: the first whose user
/// there is, or else the last.
fn candidates(directory: &Directory, meanings: &[Basic], attempts: &[Attempt]) -> Vec<Candidate> {
    let mut all = meanings
        .iter()
        .zip(attempts)
        .map(|(basic, attempt)| Candidate {
            user: directory.user(&basic.user).cloned(),
            password: basic.password.clone(),
            attempt: *attempt,
        });
    if origins(attempts).count() <= 1 {
        return all.collect();
    }
    let mut chosen = None;
    for candidate in all.by_ref() {
        let is_known = candidate.user.is_some();
        chosen = Some(candidate);
        if is_known {
            break;
        }
    }
    chosen.into_iter().collect()
}

#[cfg(test)]
mod tests;
