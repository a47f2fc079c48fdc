//! The id of a key, which tokens name as `kid` (RFC 7515, section 4.1.4).

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The id of a key: a digest, so that one key has the same id in every file and at every gateway.
/// It tells nothing of the key. Keys of external issuers have ids too, of another derivation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(u64);

impl KeyId {
    pub(super) fn of(key: &[u8]) -> Self {
        Self::by("iem-gateway 2026-11-29 id of a token key", key)
    }

    /// Returns the id of an external issuer's public key. No key of the ring has it.
    pub(in crate::identity) fn of_public(key: &[u8]) -> Self {
        Self::by(
            "iem-gateway 2026-12-01 id of a public key of an issuer",
            key,
        )
    }

    fn by(context: &str, key: &[u8]) -> Self {
        let digest = blake3::derive_key(context, key);
        let [first, ..] = digest.as_chunks::<8>().0 else {
            unreachable!("a digest has 32 bytes")
        };
        Self(u64::from_be_bytes(*first))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}
