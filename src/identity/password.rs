//! Passwords and their argon2id hashes (RFC 9106, in the PHC string format).
//!
//! Neither a password nor a hash is ever printed.

mod cost;
mod hash;

use std::fmt;

use zeroize::Zeroizing;

pub use cost::{Cost, MEMORY_KIB_MAX};
pub use hash::{HashError, PasswordHash};

/// Bytes of a password at most, far more than anybody's.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// A password as a person typed it or a client sent it. Its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes `text` as it is: no trimming, no normalisation.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the password in the clear, to show it once or to hash it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}
