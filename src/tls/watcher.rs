//! Follows the files of a [`LiveTls`] while the gateway runs.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::LiveTls;
use crate::threads::all_ended;

/// Between two looks. A change is taken at the second look that finds it.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long the thread's end is waited for: a file system may hang.
const END_MAX: Duration = Duration::from_secs(1);

/// One plain thread that reads the files again and again: they are small, and what mounts and links
/// do to their times and folders need not be known.
pub struct Watcher {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, of a thread that it does not give.
    pub fn start(tls: Arc<LiveTls>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("certificate".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    tls.look();
                }
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread. One that hangs in a read is left behind: the process is about to end.
    pub fn stop(self) {
        drop(self.stop);
        all_ended([&self.thread], Instant::now() + END_MAX);
    }
}
