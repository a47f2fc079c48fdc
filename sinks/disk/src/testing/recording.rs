//! The record of what a disk did: what a folder held first, and each change since.

use std::path::PathBuf;

/// A file of a recording. A name that is given to a new file leads to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub(super) usize);

/// An operation that changed the disk, or made changes durable. All paths are relative to the
/// folder of the trace; that folder itself is the empty path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file was created.
    Create {
        /// The file's path.
        path: PathBuf,
        /// The new file.
        file: FileId,
    },
    /// Bytes were written. Of a write that failed, these are the bytes before the failure.
    Write {
        /// The file.
        file: FileId,
        /// The offset of the first byte in the file.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A file was truncated or extended.
    SetLen {
        /// The file.
        file: FileId,
        /// The new length, in bytes.
        length: u64,
    },
    /// A file's data and length were synced.
    SyncData {
        /// The file.
        file: FileId,
    },
    /// A sync of a file's data and length failed.
    FailedSync {
        /// The file.
        file: FileId,
    },
    /// The names in a folder were synced.
    SyncFolder {
        /// The folder's path.
        path: PathBuf,
    },
    /// A file was renamed.
    Rename {
        /// The path before.
        from: PathBuf,
        /// The path since.
        to: PathBuf,
    },
    /// A file, or a new folder whose creation failed, was removed.
    Remove {
        /// The path.
        path: PathBuf,
    },
    /// A folder was created.
    CreateFolder {
        /// The folder's path.
        path: PathBuf,
    },
}

/// An entry below the folder of a trace, as it was when the trace began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A folder.
    Folder {
        /// The folder's path.
        path: PathBuf,
    },
    /// A file.
    File {
        /// The file's path.
        path: PathBuf,
        /// The file.
        file: FileId,
        /// The content.
        bytes: Vec<u8>,
    },
}

/// A finished trace. [`cut_power`](Self::cut_power) builds the states that a power cut can leave
/// behind.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The content of the folder when the trace began, each folder before what is in it. It counts
    /// as durable.
    pub found: Vec<Found>,
    /// The changes since, in order.
    pub changes: Vec<Change>,
}
