//! The end of the gateway, as connections see it. Once it is announced, each connection's next answer
//! is its last. Once it has begun, idle connections close, and requests under way are finished.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Flags that the gateway is to stop, and that it stops. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_announced: AtomicBool,
    has_begun: AtomicBool,
    begun_at: OnceLock<Instant>,
    begun: Notify,
}

impl Draining {
    /// Sets the flag that the gateway is to stop. Idle connections stay: whoever sends the next
    /// request on one is told with its answer.
    pub fn announce(&self) {
        self.0.is_announced.store(true, Ordering::Release);
    }

    /// Whether the gateway is to stop, or stops.
    pub fn is_announced(&self) -> bool {
        self.0.is_announced.load(Ordering::Acquire)
    }

    /// Sets both flags, and wakes all tasks that wait for the second.
    pub fn begin(&self) {
        self.announce();
        self.0.begun_at.get_or_init(Instant::now);
        self.0.has_begun.store(true, Ordering::Release);
        self.0.begun.notify_waiters();
    }

    /// Whether the gateway stops.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Acquire)
    }

    /// Waits until the gateway stops. Only one task may poll the future: polls after the first one leave its
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

    /// Waits until the gateway has been stopping for so long.
    pub async fn begun_for(&self, time: Duration) {
        self.begun().await;
        let begun_at = self.0.begun_at.get().copied();
        tokio::time::sleep_until(begun_at.unwrap_or_else(Instant::now) + time).await;
    }
}
