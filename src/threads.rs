//! Waits for threads to end, with a deadline, which `JoinHandle::join` does not take.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The interval between two looks at a thread.
const STEP: Duration = Duration::from_millis(5);

/// Blocks until all threads have ended, or until `deadline`; returns whether all have ended.
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
