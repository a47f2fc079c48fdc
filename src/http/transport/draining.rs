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

/// The flag that the gateway is to stop, and the time since when it stops. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_announced: AtomicBool,
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

    /// Sets the flag and the time, and wakes all tasks that wait for that.
    pub fn begin(&self) {
        self.announce();
        self.0.begun_at.get_or_init(Instant::now);
        self.0.begun.notify_waiters();
    }

    /// Waits until the gateway stops, and returns when that began. Only one task may poll the future:
    /// polls after the first one leave its waker in place and only look at the time.
    pub async fn begun(&self) -> Instant {
        // Created before the time is read: it is woken by every `notify_waiters` from here on.
        let mut begun = pin!(self.0.begun.notified());
        let mut is_registered = false;
        poll_fn(|context| {
            if !is_registered {
                is_registered = true;
                let _ = begun.as_mut().poll(context);
            }
            let begun_at = self.0.begun_at.get();
            begun_at.map_or(Poll::Pending, |begun_at| Poll::Ready(*begun_at))
        })
        .await
    }

    /// Waits until the gateway has been stopping for so long.
    pub async fn begun_for(&self, time: Duration) {
        let begun_at = self.begun().await;
        tokio::time::sleep_until(begun_at + time).await;
    }
}
