//! The last access token of a connection.

use std::cell::RefCell;
use std::sync::Arc;

use constant_time_eq::constant_time_eq;

use super::verified::Verified;

/// The longest token that is remembered here: all of ours, and most external ones. The others are
/// looked up in the cache of all connections.
const TOKEN_BYTES_MAX: usize = 4096;

/// The last access token that one connection sent, with its claims: most connections send the same
/// token with each request.
#[derive(Default)]
pub struct LastToken(RefCell<Option<Sent>>);

struct Sent {
    token: Box<[u8]>,
    verified: Arc<Verified>,
}

impl LastToken {
    /// Returns the claims if `token` is the last one. Constant-time for tokens of equal length.
    pub(super) fn verified(&self, token: &[u8]) -> Option<Arc<Verified>> {
        self.0
            .borrow()
            .as_ref()
            .filter(|last| constant_time_eq(&last.token, token))
            .map(|last| Arc::clone(&last.verified))
    }

    /// Remembers a verified token in place of the one before, unless it is very long.
    pub(super) fn set(&self, token: &[u8], verified: &Arc<Verified>) {
        if token.len() > TOKEN_BYTES_MAX {
            return;
        }
        *self.0.borrow_mut() = Some(Sent {
            token: token.into(),
            verified: Arc::clone(verified),
        });
    }
}
