//! A virtual clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock that stands still until it is set. Clones are hands of the same clock.
#[derive(Clone)]
pub(super) struct Clock {
    begin: Instant,
    nanos: Arc<AtomicU64>,
}

impl Clock {
    pub(super) fn new(begin: Instant) -> Self {
        Self {
            begin,
            nanos: Arc::default(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.begin + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Sets the clock forward to `time`. It never goes back.
    pub(super) fn set(&self, time: Instant) {
        let nanos = time.saturating_duration_since(self.begin).as_nanos();
        self.nanos
            .fetch_max(u64::try_from(nanos).expect("centuries"), Ordering::Relaxed);
    }

    /// Returns whether both are hands of the same clock.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nanos, &other.nanos)
    }
}
