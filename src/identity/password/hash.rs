//! An argon2id hash of a password, in the PHC string format.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::Password;
use super::cost::Cost;

const SALT_BYTES_MIN: usize = argon2::MIN_SALT_LEN;
const OUTPUT_BYTES_MIN: usize = 16;

/// A well-formed argon2id hash of bounded cost.
#[derive(Clone)]
pub struct PasswordHash {
    phc: Box<str>,
    cost: Cost,
}

impl PasswordHash {
    /// Hashes `password` with a random salt. Blocks for as long as `cost` demands.
    ///
    /// # Errors
    /// [`HashError::Cost`] if argon2 does not know such a cost or it is beyond this gateway's
    /// bounds; [`HashError::Random`] if the system gives no random numbers.
    pub fn new(password: &Password, cost: Cost) -> Result<Self, HashError> {
        if !cost.is_bounded() {
            return Err(HashError::Cost);
        }
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

    /// Parses a hash in the PHC string format: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
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
        if !cost.is_bounded() {
            return Err(HashError::Cost);
        }
        Ok(Self {
            phc: text.into(),
            cost,
        })
    }

    /// Returns a hash that no password is known for, as slow to check as any other of that cost.
    pub fn decoy(cost: Cost) -> Self {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = cost;
        let salt = "c2FsdHNhbHRzYWx0c2FsdA";
        let output = "A".repeat(43);
        let phc = format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}");
        Self {
            phc: phc.into(),
            cost,
        }
    }

    /// Returns whether `password` is the one that was hashed; compares in constant time. Blocks for
    /// as long as the hash's cost demands.
    pub fn verify(&self, password: &Password) -> bool {
        phc::PasswordHash::new(&self.phc).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.reveal().as_bytes(), &hash)
                .is_ok()
        })
    }

    /// Returns the cost of checking a password against this hash.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Returns the PHC string, for the directory file.
    pub fn as_str(&self) -> &str {
        &self.phc
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// The reason why a text is not a hash that this gateway accepts. Never holds the text: it may be a
/// password put in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a PHC string, or one without version, salt or hash.
    #[error(
        "not a password hash; make one with `user passwd`, \
         or with argon2id in the PHC format, version 19"
    )]
    Malformed,
    /// A hash of another algorithm.
    #[error("not an argon2id hash; set the password anew with `user passwd`")]
    NotArgon2id,
    /// A cost beyond this gateway's bounds, or parameters that argon2 does not have.
    #[error("argon2 cost out of bounds: at most m=65536 (64 MiB), m × t ≤ 1048576 (1 GiB), p=16")]
    Cost,
    /// The system gives no random numbers for a salt.
    #[error("the system gives no random numbers")]
    Random,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHEAP: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

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
}
