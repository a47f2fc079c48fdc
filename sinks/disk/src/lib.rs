//! The local disk, for crates that must not lose what they have written: the file operations that
//! durability depends on, the lock on a folder, and the error that names a path.
//!
//! A [`Disk`] carries out its operations on the real file system and counts writes and syncs. It
//! decides nothing: when to sync, and what to do after an error, is up to the caller. It knows
//! nothing of sinks, records or file formats.
//!
//! File systems have no deadline: if a disk hangs, so does the call that uses it. No call may be
//! made on a thread that must not block.
//!
//! With the feature `testing`, each operation of a `Disk` can be made to fail, and a trace of its
//! operations shows every state that a power cut can leave behind. Without the feature, neither
//! costs anything.

mod disk;
mod effect;
mod error;
mod file_system;
mod folder_lock;
mod open_options;
mod operation;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use disk::{Disk, Totals};
pub use error::DiskError;
pub use file_system::FileSystem;
pub use folder_lock::{FolderLock, LockError, holder};
pub use open_options::own_file;
pub use operation::Operation;
