//! The kinds of file operations that can fail.

/// An operation of a [`Disk`](crate::Disk) that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creation of a file.
    Create,
    /// Opening of an existing file.
    Open,
    /// A write, at a file's position or at an offset.
    Write,
    /// A read at an offset.
    Read,
    /// Sync of a file's data and length.
    Sync,
    /// Sync of the names in a folder.
    SyncFolder,
    /// Truncation or extension of a file.
    SetLen,
    /// Renaming of a file.
    Rename,
    /// Removal of a file.
    Remove,
    /// Creation of one folder.
    CreateFolder,
    /// Listing of a folder's names.
    List,
}
