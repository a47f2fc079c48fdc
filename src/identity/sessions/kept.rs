//! The ended sessions in use: what this gateway ended, and what the file says that others ended.
//!
//! An end holds in this gateway at once. A background thread writes it to the file, and another
//! reads what others wrote. Nothing that has ended here goes on because the file says less.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ended::Ended;
use super::file;
use super::session::{Session, milliseconds};
use crate::background::{Background, Signals};
use crate::follow::{Followed, Follower, Source};
use crate::identity::directory::{DirectoryError, PasswordVersion};

/// The interval between two attempts to write a file that could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// The pause after a file was written, so that many ends are written together.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest wait for the writing thread's end.
const END_MAX: Duration = Duration::from_secs(2);
/// The longest wait of a request until an end is in the file.
const SAVED_MAX: Duration = Duration::from_secs(4);

/// The sessions that ended before their time, of one directory.
#[derive(Debug)]
pub struct EndedSessions(Arc<Followed<EndedFile>>);

impl EndedSessions {
    /// Reads the file beside a directory file for the first time. Blocks.
    ///
    /// # Errors
    /// The file is there, and cannot be read or is not valid: sessions that it names would go on.
    pub fn open(directory: &Path) -> Result<Self, DirectoryError> {
        let file = EndedFile {
            directory: directory.to_owned(),
            path: file::path_beside(directory),
            current: ArcSwap::default(),
            writing: Mutex::default(),
            attempts: watch::Sender::default(),
        };
        Followed::open(file).map(Arc::new).map(Self)
    }

    /// Returns the ended sessions. Cheap; hold them for one decision.
    pub fn load(&self) -> Guard<Arc<Ended>> {
        self.0.source().current.load()
    }

    /// Ends all sessions that these users have begun with these passwords until now.
    pub fn end_all(&self, users: &[(Arc<str>, PasswordVersion)], now: SystemTime) {
        if users.is_empty() {
            return;
        }
        self.0.source().end(|ended| {
            for (email, password) in users {
                ended.end_all(email, *password, milliseconds(now));
            }
        });
    }

    /// Ends one session. Without an id there is none to end.
    pub fn end_one(
        &self,
        email: &Arc<str>,
        password: PasswordVersion,
        session: &Session,
        now: SystemTime,
    ) {
        let ended_ms = milliseconds(now).max(session.begun_ms);
        let Some(id) = session.id else { return };
        self.0
            .source()
            .end(|ended| ended.end_one(email, password, id, ended_ms));
    }

    /// Writes to the file what ended here since the last time. Blocks.
    ///
    /// # Errors
    /// The file is faulty or cannot be written. The ends hold in this gateway all the same.
    #[cfg(test)]
    pub fn save(&self) -> Result<(), DirectoryError> {
        save(&self.0)
    }

    /// Waits until the file has all that ended here before the call. Returns `false` if it could not
    /// be written, or not in time; the background thread tries again.
    pub async fn saved(&self) -> bool {
        let file = self.0.source();
        let wanted = file.writing.lock().ends;
        let mut attempts = file.attempts.subscribe();
        let end = attempts.wait_for(|last| last.saved >= wanted || last.failed >= wanted);
        matches!(timeout(SAVED_MAX, end).await, Ok(Ok(last)) if last.saved >= wanted)
    }

    /// Reads the file again. Blocks.
    ///
    /// # Errors
    /// The file is not valid. This is logged once and returned each time.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        self.0.reload()
    }

    /// Returns why the file as it is now is not in use; `None` if it is.
    pub fn error(&self) -> Option<DirectoryError> {
        self.0.error()
    }

    /// Starts the threads that read and write the file until the `Keeper` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn keep(&self) -> io::Result<Keeper> {
        let followed = Arc::clone(&self.0);
        let writer = Background::start("ended", move |signals| write(&followed, signals))?;
        let wake = writer.waker();
        self.0.source().writing.lock().wake = Some(Wake(Box::new(wake)));
        Ok(Keeper {
            writer,
            _reader: Follower::start(Arc::clone(&self.0))?,
        })
    }
}

/// The threads that keep the file and its value alike, until this is dropped.
#[derive(Debug)]
pub struct Keeper {
    writer: Background,
    _reader: Follower,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.writer.stop(Instant::now() + END_MAX);
    }
}

#[derive(Debug)]
struct EndedFile {
    /// The directory file that it is beside.
    directory: PathBuf,
    path: PathBuf,
    current: ArcSwap<Ended>,
    /// Held while `current` is replaced, never during file I/O.
    writing: Mutex<Writing>,
    attempts: watch::Sender<Attempts>,
}

/// The attempts to write the file. Each has all that ended here before it began.
#[derive(Debug, Default)]
struct Attempts {
    /// The number of ends that the file has.
    saved: u64,
    /// The number of ends of the last attempt that failed.
    failed: u64,
}

#[derive(Debug, Default)]
struct Writing {
    /// The number of times that something ended here.
    ends: u64,
    /// Wakes the thread that writes, once there is one.
    wake: Option<Wake>,
}

struct Wake(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

impl EndedFile {
    /// Returns whether the file has all that ended here.
    fn is_saved(&self) -> bool {
        self.writing.lock().ends == self.attempts.borrow().saved
    }

    fn end(&self, end: impl FnOnce(&mut Ended)) {
        let mut writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        end(&mut ended);
        self.current.store(Arc::new(ended));
        writing.ends += 1;
        if let Some(Wake(wake)) = &writing.wake {
            wake();
        }
    }
}

impl Source for EndedFile {
    type Contents = Vec<u8>;
    /// Bytes of the file. The value in use is beside the file's: it also has what is not written yet.
    /// (Nothing at all would have no address of its own, and a leak checker would miss it.)
    type Value = usize;
    type Error = DirectoryError;

    const NAME: &'static str = "ended sessions";
    /// The file is renamed into place, never half written.
    const STILL: Duration = Duration::from_millis(5);

    fn paths(&self) -> Vec<&Path> {
        vec![&self.path]
    }

    fn read(&self) -> Result<Vec<u8>, DirectoryError> {
        file::read(&self.path)
    }

    fn digest(contents: &Vec<u8>) -> blake3::Hash {
        blake3::hash(contents)
    }

    fn parse(&self, contents: &Vec<u8>) -> Result<usize, DirectoryError> {
        let read = file::parse(contents, &self.path)?;
        let _writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        if ended.merge(&read) {
            self.current.store(Arc::new(ended));
        }
        Ok(contents.len())
    }

    fn log_reload(&self, _: &usize, bytes: &usize) {
        tracing::debug!(path = %self.path.display(), bytes, "ended sessions reloaded");
    }
}

fn save(followed: &Followed<EndedFile>) -> Result<(), DirectoryError> {
    let file = followed.source();
    let ends = file.writing.lock().ends;
    if file.attempts.borrow().saved == ends {
        return Ok(());
    }
    let ended = Arc::clone(&file.current.load());
    let now = SystemTime::now();
    let saved = file::change(&file.directory, now, |all| {
        all.merge(&ended);
    });
    if let Err(error) = saved {
        file.attempts.send_modify(|last| last.failed = ends);
        return Err(error);
    }
    {
        let _writing = file.writing.lock();
        let mut pruned = Ended::clone(&file.current.load());
        pruned.prune(milliseconds(now));
        file.current.store(Arc::new(pruned));
    }
    file.attempts.send_modify(|last| last.saved = ends);
    Ok(())
}

/// Writes whenever something ended, and once more at the end.
fn write(followed: &Followed<EndedFile>, signals: &Signals) {
    let mut last = None;
    loop {
        // A wake-up within the pause is lost.
        let has_new = last.is_none() && !followed.source().is_saved();
        let wait = if has_new { Duration::ZERO } else { RETRY };
        let goes_on = signals.wait(wait);
        let error = save(followed).err();
        if let Some(error) = error.as_ref().filter(|error| last.as_ref() != Some(*error)) {
            tracing::error!(%error, "ended sessions stay so only until this gateway ends");
        }
        last = error;
        if !goes_on {
            return;
        }
        signals.sleep(PAUSE);
    }
}
