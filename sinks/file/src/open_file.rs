//! One open file of a topic. It takes whole batches, and can be restored to the end of the last
//! delivered one.
//!
//! After a failed append, nothing is ever written to the file again. After a failed sync, the file
//! is never synced again either, because the state of the page cache is unknown then, and a later
//! sync may succeed without having written anything
//! (<https://wiki.postgresql.org/wiki/Fsync_Errors>). The delivered batches were synced before, but
//! the truncation behind them may not survive a loss of power: the file is *doubtful*.

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
    /// Whether bytes of a failed batch may come back with a loss of power.
    is_doubtful: bool,
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
            is_doubtful: false,
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

    /// Returns whether bytes of a failed batch may come back with a loss of power. The next start
    /// must then read the file as a whole.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful
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
            self.sync(directory)?;
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
    /// again after an error. A file whose restored state cannot be synced is doubtful.
    pub(crate) fn restore(&mut self, directory: &DataDirectory) -> io::Result<()> {
        if self.is_empty() {
            directory.disk.remove(&self.path)?;
        } else {
            directory.disk.set_len(&self.file, self.delivered_bytes)?;
        }
        if !directory.config.sync {
            return Ok(());
        }
        let synced = if self.is_empty() {
            // Unlike a file's, a folder's failed sync is tried again: the name of every later file
            // needs it.
            let synced = directory.disk.sync_folder(self.folder());
            self.is_doubtful = synced.is_err();
            synced
        } else if self.is_doubtful {
            Ok(())
        } else {
            self.sync(directory)
        };
        if let Err(error) = synced {
            tracing::warn!(path = %self.path.display(), %error, "cannot sync a restored file");
        }
        Ok(())
    }

    fn sync(&mut self, directory: &DataDirectory) -> io::Result<()> {
        directory
            .disk
            .sync_data(&self.file)
            .inspect_err(|_| self.is_doubtful = true)
    }

    /// Closes the file, and returns its path.
    pub(crate) fn close(self) -> PathBuf {
        self.path
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}
