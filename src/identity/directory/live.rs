//! The directory in use, which follows its file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use super::error::DirectoryError;
use super::file;
use super::snapshot::Directory;
use crate::follow::{Followed, Follower, Source};
use crate::identity::private_file;
use crate::telemetry::audit;

/// The current snapshot of the directory. A file that is not valid never replaces it.
#[derive(Debug)]
pub struct LiveDirectory(Arc<Followed<DirectoryFile>>);

/// The size of the current snapshot, and the result of the last reading of the file.
#[derive(Clone, Debug)]
pub struct Status {
    /// Why the file as it is now is not in use; `None` if it is.
    pub error: Option<DirectoryError>,
    /// Users in the current snapshot.
    pub users: usize,
    /// Customers in the current snapshot.
    pub customers: usize,
}

impl LiveDirectory {
    /// Reads the file for the first time. Blocks.
    ///
    /// # Errors
    /// The file cannot be read or is not valid: there is no earlier snapshot to keep.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let file = DirectoryFile {
            path: path.to_owned(),
        };
        Followed::open(file).map(Arc::new).map(Self)
    }

    /// Returns the current snapshot. Cheap; hold it for one decision, not across waits.
    pub fn load(&self) -> Guard<Arc<Directory>> {
        self.0.load()
    }

    /// Starts the thread that keeps the snapshot up to date until the `Follower` is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn follow(&self) -> io::Result<Follower> {
        Follower::start(Arc::clone(&self.0))
    }

    /// Reads the file again, and replaces the snapshot if the file changed and is valid. Blocks.
    ///
    /// # Errors
    /// The file is not valid. This is logged once and returned each time; the snapshot stays.
    pub fn reload(&self) -> Result<(), DirectoryError> {
        self.0.reload()
    }

    /// Returns the result of the last reading, for the metrics.
    pub fn status(&self) -> Status {
        let directory = self.load();
        Status {
            error: self.0.error(),
            users: directory.users().len(),
            customers: directory.customers().len(),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0.source().path
    }
}

#[derive(Debug)]
struct DirectoryFile {
    path: PathBuf,
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
}

#[cfg(test)]
mod tests;
