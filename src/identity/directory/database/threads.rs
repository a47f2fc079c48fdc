//! The threads that follow the database and keep its copy, until they are to end.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::background::Background;
use crate::threads::all_ended;

/// The longest wait for their end, the last words to the database and the last copy among it.
const END_MAX: Duration = Duration::from_secs(5);

/// The threads that follow the database. They end when it is dropped.
#[derive(Debug)]
pub(in crate::identity::directory) struct DatabaseFollower {
    stop: Option<watch::Sender<()>>,
    thread: JoinHandle<()>,
    snapshot: Background,
}

impl DatabaseFollower {
    pub(super) fn new(
        stop: watch::Sender<()>,
        thread: JoinHandle<()>,
        snapshot: Background,
    ) -> Self {
        Self {
            stop: Some(stop),
            thread,
            snapshot,
        }
    }
}

impl Drop for DatabaseFollower {
    fn drop(&mut self) {
        let deadline = Instant::now() + END_MAX;
        self.stop = None;
        all_ended([&self.thread], deadline);
        // Last, so that it has what was read last.
        self.snapshot.stop(deadline);
    }
}
