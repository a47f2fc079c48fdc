//! The tasks of the maintenance thread.

use std::path::PathBuf;

/// A task for the maintenance thread.
pub(crate) enum Task {
    /// Compress this closed file.
    Compress(PathBuf),
    /// End the thread.
    Stop,
}
