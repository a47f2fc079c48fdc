//! The errors of a journal.

use std::path::PathBuf;

use iem_disk::{DiskError, LockError};

/// The reason why a journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open. The message names the process.
    #[error("{0}")]
    InUse(String),
    /// The folder is not there, and is not to be made.
    #[error(
        "the journal {} is not there: mount its volume, or set journal.create = true",
        .0.display()
    )]
    Missing(PathBuf),
    /// A later release has written it.
    #[error(
        "{} was written by a later release (format version {version}): run that one",
        path.display()
    )]
    LaterRelease {
        /// The segment.
        path: PathBuf,
        /// The version that it names.
        version: u32,
    },
    /// Something is damaged, and the settings say not to go on.
    #[error("{0}; `on_damage = \"report\"` goes on without it")]
    Damaged(String),
    /// The disk fails.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(holder) => Self::InUse(holder),
            LockError::Disk(error) => Self::Disk(error),
        }
    }
}

/// The reason why records were not written. None of them is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The journal has as many bytes as it may have, or the disk is full.
    #[error("the journal is full")]
    Full,
    /// The request is larger than a segment takes.
    #[error("larger than the {limit} bytes that the journal takes")]
    TooLarge {
        /// The limit of a request with all of its attributes, in bytes.
        limit: usize,
    },
    /// The disk fails. Later calls go on in another file.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
