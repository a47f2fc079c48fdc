//! The copy of the database's directory on the disk, for starts while the database is away: a
//! directory file with the file of its ended sessions, both readable by their owner alone.
//!
//! The time of the directory file's last modification is that at which the copy was last known to be
//! what the database has.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::in_use::InUse;
use crate::background::Signals;
use crate::config;
use crate::identity::directory::error::DirectoryError;
use crate::identity::directory::snapshot::Directory;
use crate::identity::private_file;
use crate::identity::sessions::{self, Ended};

/// The interval between two looks whether there is something to write.
const LOOK: Duration = Duration::from_secs(1);
/// After a copy was written, none is for this many times the time that it took.
const PAUSE: u32 = 20;
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// The interval between two notes that the copy is what the database has.
const CONFIRM: Duration = Duration::from_secs(10);

const HEADER: &str = "\
# A copy of the directory in the database, kept by iem-gateway. Changes here change nothing there.

";

#[derive(Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
    max_staleness: Duration,
}

impl SnapshotFile {
    pub(super) fn new(config: &config::Directory) -> Self {
        Self {
            path: config.snapshot.clone(),
            max_staleness: config.max_staleness,
        }
    }

    /// Reads the copy, and its age. Blocks.
    ///
    /// # Errors
    /// There is none, or it is not valid.
    pub(super) fn read(&self) -> Result<(Directory, Ended, Duration), DirectoryError> {
        let directory = Directory::read(&self.path)?.check_strength(&self.path)?;
        let ended = sessions::read_beside(&self.path)?;
        let modified = File::open(&self.path)
            .and_then(|file| file.metadata())
            .and_then(|metadata| metadata.modified())
            .map_err(|error| DirectoryError::of_file(&self.path, &error))?;
        // By a clock that was set back, any age is possible.
        let age = SystemTime::now().duration_since(modified);
        Ok((directory, ended, age.unwrap_or(Duration::MAX)))
    }

    /// Reads the sessions of the copy that have ended; none without a copy. Blocks.
    ///
    /// # Errors
    /// They are not valid.
    pub(super) fn read_ended(&self) -> Result<Ended, DirectoryError> {
        sessions::read_beside(&self.path)
    }

    /// Writes what is in use whenever it was replaced, until stopped.
    pub(super) fn keep(&self, in_use: &InUse, signals: &Signals) {
        // What came from the file stands in it.
        let mut written = 0;
        let mut confirmed = None::<Instant>;
        let mut next = Instant::now();
        let mut last_error = None;
        loop {
            let goes_on = signals.wait(LOOK);
            in_use.judge_age(self.max_staleness);
            let replaced = in_use.replaced();
            let is_due = !goes_on || Instant::now() >= next;
            if written != replaced && is_due {
                let began = Instant::now();
                let error = self.write(in_use).err();
                let took = began.elapsed();
                next = Instant::now() + (took * PAUSE).min(PAUSE_MAX);
                if error.is_none() {
                    written = replaced;
                    confirmed = Some(Instant::now());
                } else if error != last_error {
                    let error = error.as_deref();
                    tracing::error!(error, "the directory's copy is not up to date");
                }
                last_error = error;
            } else if written == replaced && confirmed.is_none_or(|time| time.elapsed() >= CONFIRM)
            {
                let _ = self.confirm(in_use.stale_for());
                confirmed = Some(Instant::now());
            }
            if !goes_on {
                return;
            }
        }
    }

    fn write(&self, in_use: &InUse) -> Result<(), String> {
        let stale_for = in_use.stale_for();
        // First the sessions: a copy never knows of a user whose ended sessions it does not.
        let current = in_use.current().load_full();
        let is_disabled = |email: &str| current.user(email).is_some_and(|user| !user.enabled);
        // Whoever reads it ends those of disabled users anyway.
        let ended = in_use.ended().load().without(is_disabled).to_text();
        let directory = current.to_text(HEADER);
        let failed = |error: std::io::Error| format!("{}: {error}", self.path.display());
        private_file::create_folders(private_file::folder(&self.path)).map_err(failed)?;
        sessions::check_size(&ended)
            .map_err(|fault| format!("{}: {fault}", self.path.display()))?;
        private_file::put(&sessions::path_beside(&self.path), ended.as_bytes()).map_err(failed)?;
        private_file::put(&self.path, directory.as_bytes()).map_err(failed)?;
        self.confirm(stale_for).map_err(failed)
    }

    /// Notes in the file when it was last known to be what the database has.
    fn confirm(&self, stale_for: Duration) -> std::io::Result<()> {
        let Some(time) = SystemTime::now().checked_sub(stale_for) else {
            return Ok(());
        };
        File::options()
            .write(true)
            .open(&self.path)?
            .set_modified(time)
    }
}
