//! The signal to drain, as connections see it: idle ones close, requests under way are finished.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// A flag that the gateway is to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<State>);

#[derive(Debug, Default)]
struct State {
    has_begun: AtomicBool,
    begun: Notify,
}

impl Draining {
    /// Sets the flag and wakes all tasks that wait for it.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Release);
        self.0.begun.notify_waiters();
    }

    /// Whether the flag is set.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Waits for the flag. Only one task may poll the future: polls after the first one leave its
    /// waker in place and only load the flag.
    pub async fn begun(&self) {
        // Created before the flag is read: it is woken by every `notify_waiters` from here on.
        let mut begun = pin!(self.0.begun.notified());
        let mut is_registered = false;
        poll_fn(|context| {
            if self.has_begun() {
                return Poll::Ready(());
            }
            if is_registered {
                return Poll::Pending;
            }
            is_registered = true;
            begun.as_mut().poll(context)
        })
        .await;
    }
}
