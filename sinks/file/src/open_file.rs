//! One open file of a topic. It takes whole batches, and can be restored to the end of the last
//! delivered one.
//!
//! After a failed append, nothing is ever written to the file again: the state that a failed sync
//! leaves in the page cache is unknown (<https://wiki.postgresql.org/wiki/Fsync_Errors>).

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::config::FileConfig;
use crate::data_directory::DataDirectory;

/// An open file of a topic.
pub(crate) struct OpenFile {
    path: PathBuf,
    file: File,
    /// The length of the delivered batches.
    delivered_bytes: u64,
    opened_at: Instant,
}

impl OpenFile {
    /// Creates a file, which must not exist yet.
    pub(crate) fn create(
        directory: &DataDirectory,
        path: PathBuf,
        now: Instant,
    ) -> io::Result<Self> {
        let file = directory.disk.create(&path)?;
        Ok(Self {
            path,
            file,
            delivered_bytes: 0,
            opened_at: now,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file contains no delivered batch.
    pub(crate) fn is_empty(&self) -> bool {
        self.delivered_bytes == 0
    }

    /// Returns whether the file has reached its maximum size or age.
    pub(crate) fn is_due(&self, config: &FileConfig, now: Instant) -> bool {
        self.delivered_bytes >= config.rotate_size
            || now.saturating_duration_since(self.opened_at) >= config.rotate_age
    }

    /// Writes a batch and, if the configuration says so, syncs it, with the file's name if it is
    /// the first batch. After an error, [`restore`](Self::restore) must be called next.
    pub(crate) fn append(&mut self, directory: &DataDirectory, lines: &[u8]) -> io::Result<()> {
        directory.disk.write_all(&mut self.file, lines)?;
        if directory.config.sync {
            directory.disk.sync_data(&self.file)?;
            if self.is_empty() {
                directory.disk.sync_folder(self.folder())?;
            }
        }
        // No reader can reach a file that has lost its name.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                ErrorKind::NotFound,
                "the file was removed while it was in use",
            ));
        }
        self.delivered_bytes += lines.len() as u64;
        Ok(())
    }

    /// Truncates the file to its delivered batches, or removes it if there is none. May be tried
    /// again after an error.
    pub(crate) fn restore(&self, directory: &DataDirectory) -> io::Result<()> {
        let disk = &directory.disk;
        if self.is_empty() {
            disk.remove(&self.path)?;
            if directory.config.sync {
                disk.sync_folder(self.folder())?;
            }
        } else {
            disk.set_len(&self.file, self.delivered_bytes)?;
            if directory.config.sync {
                disk.sync_data(&self.file)?;
            }
        }
        Ok(())
    }

    /// Closes the file, and returns its path.
    pub(crate) fn close(self) -> PathBuf {
        self.path
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}
