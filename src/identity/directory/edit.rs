//! Changes to the directory file. One editor at a time; comments and order stay.
//!
//! Nothing is written that could not be read. A running gateway sees the file before the change or
//! after it, never in between.

mod document;
mod refusal;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::DirectoryError;
use super::snapshot::Directory;
use crate::identity::private_file;

pub use document::{Document, NewUser, Removed};
pub use refusal::Refusal;

/// The choice for a directory file that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Create an empty one, and its folder.
    Create,
    /// Report an error.
    Refuse,
}

const HEADER: &str = "\
# The directory of iem-gateway: customers, users and integrations.
# Best changed with `iem-gateway customer|user|integration`; \
a running gateway follows it within a second.

";

/// Makes `change` to the directory file at `path`, and returns the change's result. Blocks, also
/// while another process edits the file.
pub fn edit<T>(
    path: &Path,
    missing: Missing,
    change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
) -> Result<T, EditError> {
    if missing == Missing::Create {
        fs::create_dir_all(private_file::folder(path))
            .map_err(|error| EditError::io(path, error))?;
    }
    // A symbolic link stays one: the file it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _lock = lock(&path).map_err(|error| EditError::io(&path, error))?;
    let old = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Create => None,
        Err(error) => return Err(EditError::Faulty(DirectoryError::unreadable(&path, &error))),
    };
    let before = old.as_deref().unwrap_or(HEADER);
    let (done, after) = edit_text(before, &path, change)?;
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
    Ok(done)
}

/// Makes `change` to the `text` of a directory file, and returns the change's result and the new
/// text; `path` is for the error alone.
pub fn edit_text<T>(
    text: &str,
    path: &Path,
    change: impl FnOnce(&mut Document) -> Result<T, Refusal>,
) -> Result<(T, String), EditError> {
    Directory::parse(text, path).map_err(EditError::Faulty)?;
    let mut document = Document::parse(text, path).map_err(EditError::Faulty)?;
    let done = change(&mut document)?;
    let after = document.to_string();
    Directory::parse(&after, path).map_err(|error| Refusal(error.message))?;
    Ok((done, after))
}

/// Waits for, and holds, the lock beside a file. The lock ends with the process that
/// holds it; the empty lock file stays.
pub(in crate::identity) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path
        .file_name()
        .map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".lock");
    let beside = path.with_file_name(name);
    let file = match File::open(&beside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&beside)?,
        opened => opened?,
    };
    file.lock()?;
    Ok(file)
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
    /// The file could not be locked or written.
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
