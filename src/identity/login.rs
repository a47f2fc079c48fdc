//! Logging in with a password: bounds on failures first, then what was verified before, then the
//! hash.
//!
//! The time to answer does not tell an unknown or disabled user from a wrong password: each costs
//! one hash.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::MonotonicClock;
use moka::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::Principal;
use super::authentication::Basic;
use super::directory::{Directory, LiveDirectory, Stamp};
use super::limits::{FailuresPerMinute, LoginLimits, Origin};
use super::password::{Busy, Hashing, PasswordHash};

/// Bounds on logins.
#[derive(Clone, Copy, Debug)]
pub struct LoginSettings {
    /// Failed attempts a minute.
    pub failures: FailuresPerMinute,
    /// Hashes that run at once; each takes the memory that its cost names. By default half of the
    /// cores, at least 1.
    pub hashing: usize,
    /// Logins that wait for one of those; 64 by default.
    pub waiting: usize,
    /// Verified credentials to remember; 10,000 by default.
    pub remembered: u64,
    /// How long; 5 minutes by default. What the directory says holds at once in any case.
    pub remember: Duration,
}

impl Default for LoginSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            failures: FailuresPerMinute::default(),
            hashing: (cores / 2).max(1),
            waiting: 64,
            remembered: 10_000,
            remember: Duration::from_mins(5),
        }
    }
}

/// Why a login did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Unknown or disabled user, or wrong password; nobody is told which.
    #[error("invalid username or password")]
    Invalid,
    /// Too many failed attempts: not even right credentials are looked at.
    #[error("too many failed attempts")]
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
    /// More logins at once than the gateway may hash.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// Verifies passwords.
pub(super) struct Logins {
    /// Random: digests of credentials mean nothing outside this process.
    key: [u8; 32],
    limits: Arc<LoginLimits>,
    verified: Cache<[u8; 32], Verified>,
    hashing: Hashing,
    turns: Vec<Arc<Mutex<()>>>,
    shares: RandomState,
}

/// Whose credentials were right, and with which password hash.
#[derive(Clone)]
struct Verified {
    email: Arc<str>,
    stamp: Stamp,
}

/// One attempt, in digests.
#[derive(Clone, Copy)]
struct Attempt {
    origin: Origin,
    credentials: [u8; 32],
}

/// How long a login waits in all before its hash begins; then it is told that the gateway is busy.
/// Clients give up after 15 s, and what comes behind the login needs its time too.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How many origins take turns independently; more share one.
const TURNS: usize = 256;

impl Logins {
    pub(super) fn new(settings: LoginSettings) -> Self {
        Self {
            key: rand::random(),
            limits: Arc::new(LoginLimits::new(settings.failures, &MonotonicClock)),
            verified: Cache::builder()
                .max_capacity(settings.remembered)
                .time_to_live(settings.remember)
                .build(),
            hashing: Hashing::new(settings.hashing, settings.waiting),
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
            shares: RandomState::new(),
        }
    }

    /// Who these credentials belong to. Attempts of one user from one peer are taken one after
    /// another: parallel guesses do not pass the bound, and of parallel right ones only the
    /// first pays for a hash.
    pub(super) async fn login(
        &self,
        directory: &LiveDirectory,
        basic: &Basic,
        peer: IpAddr,
    ) -> Result<Principal, LoginError> {
        self.login_by(Instant::now() + WAIT_MAX, directory, basic, peer)
            .await
    }

    /// Waits, for whatever it is, until `deadline`.
    async fn login_by(
        &self,
        deadline: Instant,
        directory: &LiveDirectory,
        basic: &Basic,
        peer: IpAddr,
    ) -> Result<Principal, LoginError> {
        let attempt = self.attempt(basic, peer);
        if let Some(principal) = self.recall(&directory.load(), &attempt)? {
            return Ok(principal);
        }
        let turn = self.turn(&attempt.origin, deadline).await?;
        if let Some(principal) = self.recall(&directory.load(), &attempt)? {
            return Ok(principal);
        }
        let check = self.hash_check(&directory.load(), basic, attempt);
        let work = move || {
            let _turn = turn;
            check()
        };
        let hashed = self.hashing.run(deadline, work).await?;
        let Verified { email, stamp } = hashed?;
        // The directory may be another by now.
        Principal::find(&directory.load(), &email, stamp).ok_or(LoginError::Invalid)
    }

    /// Failed attempts since the start.
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
                user: user.into(),
                peer: peer.into(),
            },
            credentials: credentials.finalize().into(),
        }
    }

    /// Waits until no other attempt of this origin is under way.
    async fn turn(&self, origin: &Origin, deadline: Instant) -> Result<OwnedMutexGuard<()>, Busy> {
        let index = self.shares.hash_one(origin) % TURNS as u64;
        let turn = Arc::clone(&self.turns[usize::try_from(index).unwrap_or_default()]);
        timeout_at(deadline, turn.lock_owned())
            .await
            .map_err(|_| Busy)
    }

    /// Who the credentials belong to, if they were verified before and still hold.
    fn recall(
        &self,
        directory: &Directory,
        attempt: &Attempt,
    ) -> Result<Option<Principal>, LoginError> {
        self.limits
            .check(&attempt.origin)
            .map_err(|retry_after| LoginError::TooMany { retry_after })?;
        let verified = self.verified.get(&attempt.credentials);
        Ok(verified
            .and_then(|verified| Principal::find(directory, &verified.email, verified.stamp)))
    }

    /// The work for the hashing thread. It counts and remembers by itself, so that somebody who
    /// hangs up before the answer is counted as well.
    fn hash_check(
        &self,
        directory: &Directory,
        basic: &Basic,
        attempt: Attempt,
    ) -> impl FnOnce() -> Result<Verified, LoginError> + Send + 'static {
        let user = directory.user(&basic.user).cloned();
        let decoy = PasswordHash::decoy(directory.cost());
        let password = basic.password.clone();
        let (limits, remembered) = (Arc::clone(&self.limits), self.verified.clone());
        move || {
            limits
                .check(&attempt.origin)
                .map_err(|retry_after| LoginError::TooMany { retry_after })?;
            let right = user
                .as_ref()
                .map_or(&decoy, |user| user.password())
                .verify(&password);
            let Some(user) = user.filter(|user| right && user.enabled) else {
                limits.count(&attempt.origin);
                return Err(LoginError::Invalid);
            };
            let verified = Verified {
                email: Arc::clone(&user.email),
                stamp: user.stamp,
            };
            remembered.insert(attempt.credentials, verified.clone());
            Ok(verified)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;
    use crate::identity::example;

    /// Neither wait may have a time of its own: together they would outlast the client's patience.
    #[tokio::test]
    async fn the_turn_and_the_line_share_one_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.toml");
        std::fs::write(&path, &*example::TEXT).unwrap();
        let directory = LiveDirectory::open(&path).unwrap();
        let logins = Arc::new(Logins::new(LoginSettings {
            hashing: 1,
            ..LoginSettings::default()
        }));
        let user = "nifi@example.com";
        let basic = Basic {
            user: user.to_owned(),
            password: example::password(user),
        };
        let peer = "192.0.2.1".parse().unwrap();
        let expect_busy = async || {
            let now = Instant::now();
            tokio::select! {
                biased;
                login = logins.login_by(now, &directory, &basic, peer) => {
                    assert_eq!(login.map(|_| ()), Err(LoginError::Busy(Busy)));
                }
                () = tokio::time::sleep_until(now + Duration::from_secs(1)) => panic!("waits beyond its deadline"),
            }
        };

        let later = Instant::now() + Duration::from_mins(1);
        let turn = logins
            .turn(&logins.attempt(&basic, peer).origin, later)
            .await
            .unwrap();
        expect_busy().await;
        drop(turn);

        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let hashing = Arc::clone(&logins);
        let hash = tokio::spawn(async move {
            let job = move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            };
            hashing.hashing.run(later, job).await
        });
        running.await.unwrap();
        expect_busy().await;
        release.send(()).unwrap();
        assert_eq!(hash.await.unwrap(), Ok(()));
        assert!(
            logins
                .login_by(later, &directory, &basic, peer)
                .await
                .is_ok()
        );
    }
}
