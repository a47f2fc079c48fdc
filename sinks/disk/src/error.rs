//! The error of a failed file operation. Never decides whether to try again.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file operation that failed, with the path that it failed at.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}", .path.display())]
pub struct DiskError {
    action: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl DiskError {
    /// Makes the error that reads `cannot {action} {path}: {cause}`.
    pub fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            cause,
        }
    }

    /// Returns whether the error lasts until somebody changes something. All others may pass by
    /// themselves: a full disk, an I/O error, a remote file system that is unavailable.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self.cause.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::InvalidFilename
        )
    }
}
