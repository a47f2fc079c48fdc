//! The claims of a token that was verified.

use std::sync::atomic::{AtomicBool, Ordering};

use super::token::Claims;

/// Verified claims, as all connections that send the token share them.
pub(super) struct Verified {
    pub(super) claims: Claims,
    /// The token has not been accepted yet.
    is_new: AtomicBool,
}

impl Verified {
    pub(super) fn new(claims: Claims) -> Self {
        Self {
            claims,
            is_new: AtomicBool::new(true),
        }
    }

    /// Returns whether the token is accepted for the first time.
    pub(super) fn accept(&self) -> bool {
        self.is_new.load(Ordering::Relaxed) && self.is_new.swap(false, Ordering::Relaxed)
    }
}
