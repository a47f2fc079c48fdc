//! The directory in use, which follows its file, and the sessions of its users that have ended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::Guard;

use super::error::DirectoryError;
use super::file;
use super::password_version::PasswordVersion;
use super::snapshot::Directory;
use crate::follow::{Followed, Follower, Source};
use crate::identity::private_file;
use crate::identity::sessions::{EndedSessions, Keeper};
use crate::telemetry::audit;

/// The current snapshot of the directory. A file that is not valid never replaces it.
#[derive(Debug)]
pub struct LiveDirectory(Arc<Followed<DirectoryFile>>);

/// The size of the current snapshot, and the result of the last reading of the file.
#[derive(Clone, Debug)]
pub struct Status {
    /// Why the file as it is now is not in use; `None` if it is.
    pub error: Option<DirectoryError>,
    /// The time for which it is not known that the snapshot is that of the file.
    pub stale_for: Duration,
    /// Users in the current snapshot.
    pub users: usize,
    /// Customers in the current snapshot.
    pub customers: usize,
}

impl LiveDirectory {
    /// Reads the file, and that of ended sessions, for the first time. Blocks.
    ///
    /// A user who is disabled now may have been disabled while no gateway ran: the user's sessions
    /// have ended.
    ///
    /// # Errors
    /// A file cannot be read or is not valid: there is no earlier snapshot to keep.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let file = DirectoryFile {
            path: path.to_owned(),
            ended: EndedSessions::open(path)?,
        };
        let followed = Followed::open(file)?;
        let disabled: Vec<_> = followed
            .load()
            .users()
            .iter()
            .filter(|user| !user.enabled)
            .map(|user| (Arc::clone(&user.email), user.password_version))
            .collect();
        followed
            .source()
            .ended
            .end_all(&disabled, SystemTime::now());
        Ok(Self(Arc::new(followed)))
    }

    /// Returns the sessions of its users that ended before their time.
    pub fn ended(&self) -> &EndedSessions {
        &self.0.source().ended
    }

    /// Returns the current snapshot. Cheap; hold it for one decision, not across waits.
    pub fn load(&self) -> Guard<Arc<Directory>> {
        self.0.load()
    }

    /// Starts the threads that keep the snapshot and the ended sessions up to date until the
    /// `DirectoryFollower` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn follow(&self) -> io::Result<DirectoryFollower> {
        Ok(DirectoryFollower {
            _directory: Follower::start(Arc::clone(&self.0))?,
            _ended: self.ended().keep()?,
        })
    }

    /// Reads the files again, and replaces the snapshot if the file changed and is valid. Blocks.
    ///
    /// # Errors
    /// A file is not valid. This is logged once and returned each time; the snapshot stays.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        let ended = self.ended().reload();
        self.0.reload().and(ended)
    }

    /// Returns the result of the last reading, for the metrics.
    pub fn status(&self) -> Status {
        let directory = self.load();
        Status {
            error: self.0.error().or_else(|| self.ended().error()),
            stale_for: self.0.stale_for(),
            users: directory.users().len(),
            customers: directory.customers().len(),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0.source().path
    }
}

/// The threads that follow the files of a directory. They end when it is dropped.
#[derive(Debug)]
pub struct DirectoryFollower {
    _directory: Follower,
    _ended: Keeper,
}

#[derive(Debug)]
struct DirectoryFile {
    path: PathBuf,
    ended: EndedSessions,
}

impl Source for DirectoryFile {
    type Contents = Vec<u8>;
    type Value = Directory;
    type Error = DirectoryError;

    const NAME: &'static str = "directory";
    const STILL: Duration = Duration::from_millis(40);

    fn paths(&self) -> Vec<&Path> {
        vec![&self.path]
    }

    fn read(&self) -> Result<Vec<u8>, DirectoryError> {
        private_file::read(&self.path).map_err(|error| DirectoryError::of_file(&self.path, &error))
    }

    fn digest(contents: &Vec<u8>) -> blake3::Hash {
        blake3::hash(contents)
    }

    fn parse(&self, contents: &Vec<u8>) -> Result<Directory, DirectoryError> {
        Directory::parse(file::text(contents, &self.path)?, &self.path)?.check_strength(&self.path)
    }

    fn log_reload(&self, before: &Directory, directory: &Directory) {
        let users = directory.users().len();
        let customers = directory.customers().len();
        tracing::info!(path = %self.path.display(), users, customers, "directory reloaded");
        audit::reloaded(Self::NAME, &before.changes(directory));
    }

    /// The file may have been changed by hand, so that nobody else ends these sessions. They are
    /// written by another thread: whoever holds the lock of the file must not hold up the change.
    fn before_replacing(&self, old: &Directory, new: &Directory) {
        self.ended.end_all(&locked_out(old, new), SystemTime::now());
    }
}

/// Returns the users who were disabled or got another password, with their old one. A user who is
/// gone is none of them: the user may be back in a moment, when the file has been written in two
/// steps.
fn locked_out(old: &Directory, new: &Directory) -> Vec<(Arc<str>, PasswordVersion)> {
    let users = old.users().iter().filter(|user| {
        new.user(&user.email).is_some_and(|now| {
            let has_other_password = now.password_version != user.password_version;
            has_other_password || (user.enabled && !now.enabled)
        })
    });
    users
        .map(|user| (Arc::clone(&user.email), user.password_version))
        .collect()
}

#[cfg(test)]
mod tests;
