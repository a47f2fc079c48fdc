//! The ended sessions of a directory file: the file beside it, which the gateway follows and writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::file;
use super::kept::EndedSessions;
use crate::background::{Background, Signals};
use crate::follow::{Followed, Follower, Source};
use crate::identity::directory::DirectoryError;

/// The interval between two attempts to write a file that could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// The pause after a file was written, so that many ends are written together.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest wait for the writing thread's end.
const END_MAX: Duration = Duration::from_secs(2);

/// The file of ended sessions beside a directory file, and its sessions.
#[derive(Debug)]
pub(in crate::identity) struct EndedFile(Arc<Followed<Beside>>);

impl EndedFile {
    /// Reads the file beside a directory file for the first time. Blocks.
    ///
    /// # Errors
    /// The file is there, and cannot be read or is not valid: sessions that it names would go on.
    pub(in crate::identity) fn open(directory: &Path) -> Result<Self, DirectoryError> {
        let file = Beside {
            directory: directory.to_owned(),
            path: file::path_beside(directory),
            ended: Arc::default(),
        };
        Followed::open(file).map(Arc::new).map(Self)
    }

    /// Returns the sessions.
    pub(in crate::identity) fn ended(&self) -> &Arc<EndedSessions> {
        &self.0.source().ended
    }

    /// Reads the file again. Blocks.
    ///
    /// # Errors
    /// The file is not valid. This is logged once and returned each time.
    pub(in crate::identity) fn reload(&self) -> Result<(), DirectoryError> {
        self.0.reload()
    }

    /// Returns why the file as it is now is not in use; `None` if it is.
    pub(in crate::identity) fn error(&self) -> Option<DirectoryError> {
        self.0.error()
    }

    /// Writes to the file what ended here since the last time. Blocks.
    ///
    /// # Errors
    /// The file is faulty or cannot be written. The ends hold in this gateway all the same.
    #[cfg(test)]
    pub(in crate::identity) fn save(&self) -> Result<(), DirectoryError> {
        save(self.0.source())
    }

    /// Starts the threads that read and write the file until the `Keeper` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub(in crate::identity) fn keep(&self) -> io::Result<Keeper> {
        let followed = Arc::clone(&self.0);
        let writer = Background::start("ended", move |signals| write(followed.source(), signals))?;
        self.ended().wake_by(writer.waker());
        Ok(Keeper {
            writer,
            _reader: Follower::start(Arc::clone(&self.0))?,
        })
    }
}

/// The threads that keep the file and its value alike, until this is dropped.
#[derive(Debug)]
pub(in crate::identity) struct Keeper {
    writer: Background,
    _reader: Follower,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.writer.stop(Instant::now() + END_MAX);
    }
}

#[derive(Debug)]
struct Beside {
    /// The directory file that it is beside.
    directory: PathBuf,
    path: PathBuf,
    ended: Arc<EndedSessions>,
}

impl Source for Beside {
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
        self.ended.merge(&file::parse(contents, &self.path)?);
        Ok(contents.len())
    }

    fn log_reload(&self, _: &usize, bytes: &usize) {
        tracing::debug!(path = %self.path.display(), bytes, "ended sessions reloaded");
    }
}

fn save(file: &Beside) -> Result<(), DirectoryError> {
    let Some(unsaved) = file.ended.take_unsaved() else {
        return Ok(());
    };
    // Also what somebody may have taken out of the file.
    let ended = Arc::clone(&file.ended.load());
    let now = SystemTime::now();
    let saved = file::change(&file.directory, now, |all| {
        all.merge(&ended);
    });
    if let Err(error) = saved {
        file.ended.note_failed(&unsaved);
        return Err(error);
    }
    file.ended.prune(now);
    file.ended.note_saved(&unsaved);
    Ok(())
}

/// Writes whenever something ended, and once more at the end.
fn write(file: &Beside, signals: &Signals) {
    let mut last = None;
    loop {
        // A wake-up within the pause is lost.
        let has_new = last.is_none() && !file.ended.is_saved();
        let wait = if has_new { Duration::ZERO } else { RETRY };
        let goes_on = signals.wait(wait);
        let error = save(file).err();
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
