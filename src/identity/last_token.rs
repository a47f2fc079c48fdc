//! The last access token of a connection.

use std::cell::RefCell;
use std::sync::Arc;

use constant_time_eq::constant_time_eq;

use super::token::Claims;

/// The longest token that is remembered here: all of ours, and most external ones. The others are
/// looked up in the cache of all connections.
const TOKEN_BYTES_MAX: usize = 4096;

/// The last access token that one connection sent, with its claims: most connections send the same
/// token with each request.
#[derive(Default)]
pub struct LastToken(RefCell<Option<Verified>>);

struct Verified {
    token: Box<[u8]>,
    claims: Arc<Claims>,
}

impl LastToken {
    /// Returns the claims if `token` is the last one. Constant-time for tokens of equal length.
    pub(super) fn claims(&self, token: &[u8]) -> Option<Arc<Claims>> {
        self.0
            .borrow()
            .as_ref()
            .filter(|last| constant_time_eq(&last.token, token))
            .map(|last| Arc::clone(&last.claims))
    }

    /// Remembers a verified token in place of the one before, unless it is very long.
    pub(super) fn set(&self, token: &[u8], claims: &Arc<Claims>) {
        if token.len() > TOKEN_BYTES_MAX {
            return;
        }
        *self.0.borrow_mut() = Some(Verified {
            token: token.into(),
            claims: Arc::clone(claims),
        });
    }
}
