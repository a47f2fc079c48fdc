//! The background thread: closes files that have reached their age while nobody wrote, restores
//! what a failed batch damaged, and compresses closed files. Never makes a writer wait for longer
//! than one of those files takes.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use iem_sink::SinkError;

use crate::archive::Archive;
use crate::chain::Chain;
use crate::root::Root;

/// The longest time between two looks at the open files.
const ROUND_MAX: Duration = Duration::from_secs(1);
const ROUND_MIN: Duration = Duration::from_millis(10);

/// What the keeper is told.
pub(crate) enum Note {
    /// There is a writer more.
    Watch(Weak<Mutex<Chain>>),
    /// A file of lines is closed.
    Compress(PathBuf),
    /// The sink ends.
    Stop,
}

/// What the thread knows.
pub(crate) struct Keeper {
    chains: Vec<Weak<Mutex<Chain>>>,
    archive: Archive,
}

impl Keeper {
    pub(crate) fn new(root: Arc<Root>) -> Self {
        Self {
            chains: Vec::new(),
            archive: Archive::new(root),
        }
    }

    /// Takes note; says whether to go on.
    pub(crate) fn take(&mut self, note: Note) -> bool {
        match note {
            Note::Watch(chain) => self.chains.push(chain),
            Note::Compress(path) => self.archive.push(path),
            Note::Stop => return false,
        }
        true
    }

    /// Looks after every open file once, and compresses one chunk.
    pub(crate) fn round(&mut self, now: Instant) {
        self.chains.retain(|chain| {
            let Some(chain) = chain.upgrade() else {
                return false;
            };
            let tidied = match chain.try_lock() {
                Ok(mut chain) => chain.tidy(now),
                Err(TryLockError::Poisoned(chain)) => chain.into_inner().tidy(now),
                // It is being written to, and the writer looks after it.
                Err(TryLockError::WouldBlock) => Ok(()),
            };
            if let Err(error) = tidied {
                tracing::warn!(%error, "trying again");
            }
            true
        });
        self.archive.step(now);
    }

    fn run(mut self, notes: &Receiver<Note>, pause: Duration) {
        loop {
            let wait = if self.archive.is_idle(Instant::now()) {
                pause
            } else {
                Duration::ZERO
            };
            let go_on = match notes.recv_timeout(wait) {
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !go_on {
                break;
            }
            self.round(Instant::now());
        }
        self.archive.abandon();
    }
}

/// The handle of the running thread. Dropping it ends the thread, so that the folder is free again.
pub(crate) struct KeeperThread {
    notes: Sender<Note>,
    stopped: bool,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl KeeperThread {
    pub(crate) fn start(root: Arc<Root>) -> Result<Self, SinkError> {
        let pause = root.config.rotate_age.clamp(ROUND_MIN, ROUND_MAX);
        let (notes, to_keeper) = channel();
        let (end, ended) = channel();
        thread::Builder::new()
            .name("file-keeper".to_owned())
            .spawn(move || {
                let _end: Sender<()> = end;
                Keeper::new(root).run(&to_keeper, pause);
            })
            .map_err(|error| SinkError::transient(format!("cannot start a thread: {error}")))?;
        Ok(Self {
            notes,
            stopped: false,
            ended: Mutex::new(ended),
        })
    }

    pub(crate) fn notes(&self) -> Sender<Note> {
        self.notes.clone()
    }

    pub(crate) fn watch(&self, chain: Weak<Mutex<Chain>>) {
        // Without the thread, the writer still closes its file by age when it writes.
        let _ = self.notes.send(Note::Watch(chain));
    }

    /// Ends the thread after the chunk it is at, and waits for that until `deadline`.
    pub(crate) fn stop(&mut self, deadline: Instant) -> Result<(), SinkError> {
        self.stopped = true;
        let _ = self.notes.send(Note::Stop);
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        match ended.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => Err(SinkError::transient(
                "the compression of files does not end in time; the process's end ends it",
            )),
            _ => Ok(()),
        }
    }
}

impl Drop for KeeperThread {
    fn drop(&mut self) {
        if !self.stopped {
            let _ = self.stop(Instant::now() + ROUND_MAX);
        }
    }
}
