//! Waiting for threads to end, with a deadline that `JoinHandle::join` does not take.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The end of a thread is looked for in such steps.
const STEP: Duration = Duration::from_millis(5);

/// Blocks until all have ended, or until `deadline`. Says whether all have.
pub fn all_ended<'a>(
    threads: impl IntoIterator<Item = &'a JoinHandle<()>>,
    deadline: Instant,
) -> bool {
    threads.into_iter().all(|thread| {
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STEP);
        }
        true
    })
}
