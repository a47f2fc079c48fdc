//! Waiting for what happens in other threads.

use std::thread;
use std::time::{Duration, Instant};

/// A time long enough for a real backend to fail and to come back: only a fault of the gateway
/// misses it.
pub const AMPLE: Duration = Duration::from_mins(1);

/// Waits until `condition` holds; fails the test if it does not within `within`.
#[track_caller]
pub fn eventually(within: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let late = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < late, "not within {within:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
