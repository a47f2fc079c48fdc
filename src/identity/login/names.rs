//! Names of log-ins as gateways that share failures know them: a few bits of a digest by a key that all
//! have.

use std::sync::OnceLock;

use crate::identity::directory::NAME_BITS;

/// The key, once it is known.
#[derive(Default)]
pub(super) struct SharedNames(OnceLock<[u8; 32]>);

impl SharedNames {
    pub(super) fn set_key(&self, key: [u8; 32]) {
        let _ = self.0.set(key);
    }

    /// Returns whether names are shared.
    pub(super) fn are_shared(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns the digest that stands for all users of such a name where failures are counted; `None`
    /// if names are not shared.
    pub(super) fn user(&self, name: &str) -> Option<[u8; 32]> {
        let digest = blake3::keyed_hash(self.0.get()?, name.as_bytes());
        let (head, _) = digest.as_bytes().as_chunks::<4>();
        let bits = u32::from_be_bytes(head[0]) >> (u32::BITS - NAME_BITS);
        Some(user_named(bits))
    }
}

/// Returns the digest that stands for all users of such a name.
pub(super) fn user_named(name: u32) -> [u8; 32] {
    let mut user = [0; 32];
    user[..4].copy_from_slice(&name.to_be_bytes());
    user
}

/// Returns the bits that [`user_named`] was made of.
pub(super) fn name_of(user: &[u8; 32]) -> u32 {
    let (head, _) = user.as_chunks::<4>();
    u32::from_be_bytes(head[0])
}
