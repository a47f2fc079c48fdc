//! Metadata that shows, without reading a file, that it is not the same as before.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Longer than any file system's clock ticks.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The metadata of files; `None` for a file that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(Vec<Option<FileState>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileState {
    modified: Option<SystemTime>,
    /// The time of the last change of content or metadata, in seconds and nanoseconds.
    changed: (i64, i64),
    inode: u64,
    length: u64,
}

impl Look {
    /// Looks at the files; follows symbolic links. Blocks.
    pub(super) fn at(paths: &[&Path]) -> Self {
        Self(
            paths
                .iter()
                .map(|path| fs::metadata(path).ok().as_ref().map(FileState::of))
                .collect(),
        )
    }

    /// Returns whether another change would show in the metadata: every file was last modified
    /// well in the past, or in the future by a clock that is not ours.
    pub(super) fn is_settled(&self) -> bool {
        let now = SystemTime::now();
        self.0
            .iter()
            .flatten()
            .filter_map(|file| file.modified)
            .all(|modified| match now.duration_since(modified) {
                Ok(age) => age > SETTLED_AFTER,
                Err(ahead) => ahead.duration() > SETTLED_AFTER,
            })
    }
}

impl FileState {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            modified: metadata.modified().ok(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            length: metadata.len(),
        }
    }

    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            changed: (0, 0),
            inode: 0,
            length: metadata.len(),
        }
    }
}
