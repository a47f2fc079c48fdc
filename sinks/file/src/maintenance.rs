//! The background thread. Closes files that have reached their age while nobody wrote, restores
//! files that a failed batch damaged, and compresses closed files. Never makes a writer wait for
//! longer than the maintenance of its own file takes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use iem_sink::SinkError;
use parking_lot::Mutex;

use crate::compressor::Compressor;
use crate::data_directory::DataDirectory;
use crate::rolling_file::RollingFile;
use crate::task::Task;

/// The longest pause between two rounds.
const PAUSE_MAX: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The state of the maintenance thread.
pub(crate) struct Maintenance {
    rolling_files: Vec<Weak<Mutex<RollingFile>>>,
    new_rolling_files: Receiver<Weak<Mutex<RollingFile>>>,
    compressor: Compressor,
}

impl Maintenance {
    pub(crate) fn new(
        directory: Arc<DataDirectory>,
        new_rolling_files: Receiver<Weak<Mutex<RollingFile>>>,
    ) -> Self {
        Self {
            rolling_files: Vec::new(),
            new_rolling_files,
            compressor: Compressor::new(directory),
        }
    }

    /// Accepts a task. Returns whether the thread must go on.
    pub(crate) fn accept(&mut self, task: Task) -> bool {
        match task {
            Task::Compress(path) => {
                self.compressor.push(path);
                true
            }
            Task::Stop => false,
        }
    }

    /// Maintains every rolling file once, and compresses one chunk.
    pub(crate) fn round(&mut self, now: Instant) {
        self.rolling_files.extend(self.new_rolling_files.try_iter());
        self.rolling_files.retain(|rolling_file| {
            let Some(rolling_file) = rolling_file.upgrade() else {
                return false;
            };
            // A locked file is being written to, and its writer maintains it.
            if let Some(mut rolling_file) = rolling_file.try_lock()
                && let Err(error) = rolling_file.maintain(now)
            {
                tracing::warn!(%error, "the maintenance of a file failed; trying again");
            }
            true
        });
        self.compressor.step(now);
    }

    fn run(mut self, tasks: &Receiver<Task>, pause: Duration) {
        loop {
            let wait = if self.compressor.is_idle(Instant::now()) {
                pause
            } else {
                Duration::ZERO
            };
            let go_on = match tasks.recv_timeout(wait) {
                Ok(task) => self.accept(task),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !go_on {
                break;
            }
            self.round(Instant::now());
        }
        self.compressor.abandon();
    }
}

/// A handle to the running thread. Dropping it ends the thread, so that the data directory is
/// released.
pub(crate) struct MaintenanceThread {
    tasks: Sender<Task>,
    rolling_files: Sender<Weak<Mutex<RollingFile>>>,
    stopped: bool,
    /// Disconnected once the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl MaintenanceThread {
    pub(crate) fn start(directory: Arc<DataDirectory>) -> Result<Self, SinkError> {
        let pause = directory.config.rotate_age.clamp(PAUSE_MIN, PAUSE_MAX);
        let (tasks, queued_tasks) = channel();
        let (rolling_files, new_rolling_files) = channel();
        let (end, ended) = channel();
        thread::Builder::new()
            .name("maintain-files".to_owned())
            .spawn(move || {
                let _end: Sender<()> = end;
                Maintenance::new(directory, new_rolling_files).run(&queued_tasks, pause);
            })
            .map_err(|error| SinkError::transient(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            tasks,
            rolling_files,
            stopped: false,
            ended: Mutex::new(ended),
        })
    }

    /// Returns a sender of tasks for the thread.
    pub(crate) fn tasks(&self) -> Sender<Task> {
        self.tasks.clone()
    }

    /// Adds a rolling file to those that the thread maintains.
    pub(crate) fn maintain(&self, rolling_file: Weak<Mutex<RollingFile>>) {
        // If the thread has ended, the writer still closes its file by age when it writes.
        let _ = self.rolling_files.send(rolling_file);
    }

    /// Ends the thread after its current chunk, and waits for that until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Instant) -> Result<(), SinkError> {
        self.stopped = true;
        let _ = self.tasks.send(Task::Stop);
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.ended.get_mut().recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => Err(SinkError::transient(
                "the compression of files did not stop in time; it ends with the process",
            )),
            _ => Ok(()),
        }
    }
}

impl Drop for MaintenanceThread {
    fn drop(&mut self) {
        if !self.stopped {
            let _ = self.stop(Instant::now() + PAUSE_MAX);
        }
    }
}
