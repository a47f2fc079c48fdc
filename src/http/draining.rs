//! The end of serving, as connections see it: idle ones close, and requests under way are finished.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio_util::sync::CancellationToken;

/// Whether the gateway is to stop. Clones see the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Draining(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether the token may have been cancelled: to look at that itself takes locks.
    has_begun: AtomicBool,
    token: CancellationToken,
}

impl Draining {
    pub(super) fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Release);
        self.0.token.cancel();
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Waits for it. One task only may poll this: from the second time on that costs next to
    /// nothing, and leaves the first waker in place.
    pub(super) async fn begun(&self) {
        let mut cancelled = pin!(self.0.token.cancelled());
        let mut waits = false;
        poll_fn(|context| {
            if waits && !self.has_begun() {
                return Poll::Pending;
            }
            waits = true;
            cancelled.as_mut().poll(context)
        })
        .await;
    }
}
