//! Passwords and their argon2id hashes (RFC 9106, in the PHC string format).
//!
//! Hashing costs tens of milliseconds and megabytes by design, so it never runs on a thread of the
//! runtime: [`Hashing`] runs it elsewhere, a bounded number at a time. Neither a password nor a
//! hash is ever printed.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

/// A password as somebody typed or sent it. Its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes `text` as it is: no trimming, no normalisation.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password in the clear, for those who must show it once or hash it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What one hash costs: argon2's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Memory in KiB, argon2's `m`.
    pub memory_kib: u32,
    /// Passes over that memory, argon2's `t`.
    pub passes: u32,
    /// Lanes, argon2's `p`.
    pub lanes: u32,
}

impl Default for Cost {
    /// 19 MiB, 2 passes, 1 lane: OWASP's recommendation, and the default of the `argon2` crate.
    fn default() -> Self {
        Self {
            memory_kib: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
        }
    }
}

/// The most memory one hash may take: 64 MiB, what RFC 9106 recommends where memory is scarce.
pub const MEMORY_KIB_MAX: u32 = 64 * 1024;
/// The most memory × passes one hash may take, about a second of work: 1 GiB.
const WORK_KIB_MAX: u64 = 1024 * 1024;
const LANES_MAX: u32 = 16;
const SALT_BYTES_MIN: usize = argon2::MIN_SALT_LEN;
const OUTPUT_BYTES_MIN: usize = 16;

/// A well-formed argon2id hash of bounded cost.
#[derive(Clone)]
pub struct PasswordHash {
    phc: Box<str>,
    cost: Cost,
}

impl PasswordHash {
    /// Hashes `password` with a random salt. Blocks for as long as `cost` asks.
    ///
    /// # Errors
    /// [`HashError::Cost`] if argon2 does not know such a cost or it is beyond this gateway's
    /// bounds; [`HashError::Random`] if the system gives no random numbers.
    pub fn new(password: &Password, cost: Cost) -> Result<Self, HashError> {
        cost.check()?;
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|_| HashError::Cost)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2
            .hash_password(password.reveal().as_bytes())
            .map_err(|_| HashError::Random)?;
        Ok(Self {
            phc: hash.to_string().into(),
            cost,
        })
    }

    /// Reads a hash in the PHC string format: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if text.starts_with('$') && !text.starts_with("$argon2id$") {
            return Err(HashError::NotArgon2id);
        }
        let hash = phc::PasswordHash::new(text).map_err(|_| HashError::Malformed)?;
        let long_enough = hash.salt.is_some_and(|salt| salt.len() >= SALT_BYTES_MIN)
            && hash
                .hash
                .is_some_and(|output| output.len() >= OUTPUT_BYTES_MIN);
        if hash.version != Some(Version::V0x13.into()) || !long_enough {
            return Err(HashError::Malformed);
        }
        let params = Params::try_from(&hash).map_err(|_| HashError::Cost)?;
        let cost = Cost {
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        };
        cost.check()?;
        Ok(Self {
            phc: text.into(),
            cost,
        })
    }

    /// A hash that no password is known for, as slow to check as any other of that cost.
    pub fn decoy(cost: Cost) -> Self {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = cost;
        let (salt, output) = ("c2FsdHNhbHRzYWx0c2FsdA", "A".repeat(43));
        let phc = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}");
        Self {
            phc: phc.into(),
            cost,
        }
    }

    /// Says whether `password` is the one that was hashed, comparing in constant time. Blocks for
    /// as long as the hash's cost asks.
    pub fn verify(&self, password: &Password) -> bool {
        phc::PasswordHash::new(&self.phc).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.reveal().as_bytes(), &hash)
                .is_ok()
        })
    }

    /// What checking a password against this hash costs.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The PHC string, for the directory file.
    pub fn as_str(&self) -> &str {
        &self.phc
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl Cost {
    fn check(self) -> Result<(), HashError> {
        let work_kib = u64::from(self.memory_kib) * u64::from(self.passes);
        let bounded = self.memory_kib <= MEMORY_KIB_MAX
            && work_kib <= WORK_KIB_MAX
            && self.lanes <= LANES_MAX;
        if bounded {
            Ok(())
        } else {
            Err(HashError::Cost)
        }
    }
}

/// Why a text is not a hash this gateway takes. Never holds the text: it may be a password put in
/// the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a PHC string, or one without version, salt or hash.
    #[error(
        "not a password hash; make one with `user passwd`, or with argon2id in the PHC format, version 19"
    )]
    Malformed,
    /// A hash of another algorithm.
    #[error("not an argon2id hash; set the password anew with `user passwd`")]
    NotArgon2id,
    /// More than checking a password may cost, or parameters argon2 does not have.
    #[error("argon2 cost out of bounds: at most m=65536 (64 MiB), m × t ≤ 1048576 (1 GiB), p=16")]
    Cost,
    /// The system gives no random numbers for a salt.
    #[error("the system gives no random numbers")]
    Random,
}

/// Runs password hashing off the runtime's threads: a few at a time, a bounded number waiting.
#[derive(Debug)]
pub struct Hashing {
    running: Arc<Semaphore>,
    line: Semaphore,
}

impl Hashing {
    /// At most `at_once` hashes run, at most `waiting` more wait for them.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(at_once.max(1))),
            line: Semaphore::new(waiting),
        }
    }

    /// Runs `job` on a blocking thread once it is its turn, if that comes before `deadline`. A job
    /// that has begun ends even if the caller goes away, and counts as running until then.
    ///
    /// # Errors
    /// [`Busy`] if the line is full, the turn does not come in time, or the job died.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let running = Arc::clone(&self.running);
        let permit = if let Ok(permit) = Arc::clone(&running).try_acquire_owned() {
            permit
        } else {
            let _place = self.line.try_acquire().map_err(|_| Busy)?;
            let turn = timeout_at(deadline, running.acquire_owned());
            turn.await.map_err(|_| Busy)?.map_err(|_| Busy)?
        };
        let work = move || {
            let _permit = permit;
            job()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

/// More logins at once than the gateway may hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins at once")]
pub struct Busy;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const CHEAP: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn a_hash_verifies_its_own_password_only() {
        for text in ["secret", "", "mit Umläuten: ß", " spaces "] {
            let hash = PasswordHash::new(&password(text), CHEAP).unwrap();
            let read = PasswordHash::parse(hash.as_str()).unwrap();
            assert_eq!(read.cost(), CHEAP);
            assert!(read.verify(&password(text)));
            assert!(!read.verify(&password(&format!("{text}x"))));
        }
    }

    #[test]
    fn equal_passwords_have_different_hashes() {
        let hash = || PasswordHash::new(&password("same"), CHEAP).unwrap();
        assert_ne!(hash().as_str(), hash().as_str());
    }

    #[test]
    fn hashes_are_read_strictly() {
        let salt_and_hash = "c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let check = |text: String, expected: Result<(), HashError>| {
            assert_eq!(PasswordHash::parse(&text).map(|_| ()), expected, "{text}");
        };
        check(
            format!("$argon2id$v=19$m=19456,t=2,p=1${salt_and_hash}"),
            Ok(()),
        );
        check(
            format!("$argon2id$v=19$m=65536,t=16,p=16${salt_and_hash}"),
            Ok(()),
        );
        check(
            format!("$argon2id$v=19$m=65537,t=1,p=1${salt_and_hash}"),
            Err(HashError::Cost),
        );
        check(
            format!("$argon2id$v=19$m=65536,t=17,p=1${salt_and_hash}"),
            Err(HashError::Cost),
        );
        check(
            format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1${salt_and_hash}"),
            Err(HashError::Cost),
        );
        check(
            format!("$argon2id$v=19$m=1024,t=1,p=17${salt_and_hash}"),
            Err(HashError::Cost),
        );
        check(
            format!("$argon2id$v=19$m=1,t=1,p=1${salt_and_hash}"),
            Err(HashError::Cost),
        );
        check(
            format!("$argon2i$v=19$m=19456,t=2,p=1${salt_and_hash}"),
            Err(HashError::NotArgon2id),
        );
        check(
            format!("$argon2id$v=16$m=19456,t=2,p=1${salt_and_hash}"),
            Err(HashError::Malformed),
        );
        check(
            format!("$argon2id$m=19456,t=2,p=1${salt_and_hash}"),
            Err(HashError::Malformed),
        );
        check(
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA".into(),
            Err(HashError::Malformed),
        );
        check(
            "$2b$12$abcdefghijklmnopqrstuv".into(),
            Err(HashError::NotArgon2id),
        );
        check("hunter2".into(), Err(HashError::Malformed));
        check(String::new(), Err(HashError::Malformed));
    }

    #[test]
    fn a_decoy_is_well_formed_and_costs_what_was_asked() {
        let decoy = PasswordHash::decoy(CHEAP);
        assert_eq!(PasswordHash::parse(decoy.as_str()).unwrap().cost(), CHEAP);
        assert!(!decoy.verify(&password("")));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let secret = password("hunter2");
        let hash = PasswordHash::new(&secret, CHEAP).unwrap();
        assert_eq!(format!("{secret:?} {hash:?}"), "Password PasswordHash");
    }

    #[tokio::test]
    async fn beyond_the_line_the_gateway_is_busy() {
        let hashing = Arc::new(Hashing::new(1, 1));
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let start = |job: Box<dyn FnOnce() + Send>| {
            let hashing = Arc::clone(&hashing);
            tokio::spawn(async move { hashing.run(later(), job).await })
        };
        let first = start(Box::new(move || {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        running.await.unwrap();
        let second = start(Box::new(|| ()));
        tokio::task::yield_now().await;
        assert_eq!(hashing.run(later(), || ()).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(
            (first.await.unwrap(), second.await.unwrap()),
            (Ok(()), Ok(()))
        );
        assert_eq!(hashing.run(later(), || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_dies_gives_its_place_back() {
        let hashing = Hashing::new(1, 0);
        assert_eq!(
            hashing.run(later(), || panic!("on purpose")).await,
            Err::<(), _>(Busy)
        );
        assert_eq!(hashing.run(later(), || 1).await, Ok(1));
    }
}
