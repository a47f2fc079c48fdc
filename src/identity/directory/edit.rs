//! Changes to the directory file. One editor at a time; comments and order stay.
//!
//! Nothing is written that could not be read. A running gateway sees the file before the change or
//! after it, never in between.

mod document;
mod editor;
mod lock;
mod refusal;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::DirectoryError;
use super::file;
use super::snapshot::Directory;
use crate::identity::private_file;
use crate::telemetry::audit;

pub use document::Document;
pub(super) use editor::{Done, check_states};
pub use editor::{Editor, NewUser, Removed};
pub use lock::LockError;
pub use refusal::Refusal;

/// The longest wait for another process that edits the file. A change takes milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// The choice for a directory file that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Create an empty one, and its folder.
    Create,
    /// Report an error.
    Refuse,
}

/// The first lines of a directory file.
pub const HEADER: &str = "\
# The directory of iem-gateway: customers, users and integrations.
# Best changed with `iem-gateway customer|user|integration`; \
a running gateway follows it within a second.

";

/// Makes `change` to the directory file at `path`, and returns the change's result. Blocks, for at
/// most 10 s while another process edits the file.
pub fn edit<T>(
    path: &Path,
    missing: Missing,
    change: impl FnOnce(&mut Document) -> Result<T, EditError>,
) -> Result<T, EditError> {
    if missing == Missing::Create {
        private_file::create_folders(private_file::folder(path))
            .map_err(|error| EditError::io(path, error))?;
    }
    // A symbolic link stays one: the file it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = lock(&path)?;
    let old = match private_file::read(&path) {
        Ok(contents) => Some(contents),
        Err(error) if error.is_not_found() && missing == Missing::Create => None,
        Err(error) => return Err(EditError::Faulty(DirectoryError::of_file(&path, &error))),
    };
    let before = match &old {
        Some(contents) => file::text(contents, &path).map_err(EditError::Faulty)?,
        None => HEADER,
    };
    let (done, after, changes) = edit_text(before, &path, change)?;
    if after == before {
        return Ok(done);
    }
    let written = match old {
        Some(_) => private_file::replace(&path, after.as_bytes()),
        None => private_file::create(&path, after.as_bytes()).and_then(|created| {
            if created {
                Ok(())
            } else {
                Err(io::ErrorKind::AlreadyExists.into())
            }
        }),
    };
    written.map_err(|error| EditError::io(&path, error))?;
    audit::directory_changed(&path, &changes);
    Ok(done)
}

/// Makes `change` to the `text` of a directory file, and returns the change's result, the new text,
/// and what is different in it for the audit log; `path` is for the error alone.
pub fn edit_text<T>(
    text: &str,
    path: &Path,
    change: impl FnOnce(&mut Document) -> Result<T, EditError>,
) -> Result<(T, String, Vec<String>), EditError> {
    let before = Directory::parse(text, path).map_err(EditError::Faulty)?;
    let mut document = Document::parse(text, path).map_err(EditError::Faulty)?;
    let done = change(&mut document)?;
    let new_text = document.to_string();
    let after = Directory::parse(&new_text, path).map_err(|error| Refusal(error.message))?;
    Ok((done, new_text, before.changes(&after)))
}

/// Waits for, and holds, the lock beside a file. The lock ends with the file that is returned.
///
/// # Errors
/// See [`LockError`].
pub(in crate::identity) fn lock(path: &Path) -> Result<File, LockError> {
    lock::acquire(path, LOCK_WAIT)
}

/// The reason why a change was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file was not valid before the change.
    #[error(transparent)]
    Faulty(DirectoryError),
    /// The change does not fit the entries that are there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No other process may edit the file meanwhile, and that could not be made sure.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database did not make the change.
    #[error(transparent)]
    Database(DirectoryError),
    /// The file could not be written.
    #[error("directory {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
}

impl EditError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

#[cfg(test)]
mod tests;
