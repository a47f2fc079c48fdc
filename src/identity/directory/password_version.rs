//! The version of a user's password, by which tokens end when it changes.

use std::num::ParseIntError;

use serde::{Deserialize, Serialize};

use crate::identity::password::PasswordHash;

/// A digest of a user's password hash. Each hash has its own salt, so a password that is set again,
/// even to the same text, has another version: tokens that carry the old one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PasswordVersion(u128);

impl PasswordVersion {
    /// The version of a user without a password. No digest is expected to be zero.
    pub const NONE: Self = Self(0);

    pub(super) fn of(password: Option<&PasswordHash>) -> Self {
        let Some(password) = password else {
            return Self::NONE;
        };
        let digest = blake3::hash(password.as_str().as_bytes());
        let [half, _] = digest.as_bytes().as_chunks::<16>().0 else {
            unreachable!("a digest has 32 bytes")
        };
        Self(u128::from_be_bytes(*half))
    }
}

impl From<PasswordVersion> for String {
    fn from(version: PasswordVersion) -> Self {
        format!("{:032x}", version.0)
    }
}

impl TryFrom<String> for PasswordVersion {
    type Error = ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&text, 16).map(Self)
    }
}
