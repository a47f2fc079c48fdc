//! One open file of a topic: it takes whole batches, or is brought back to the length of the last
//! whole one.
//!
//! After a failed append nothing is ever written to it again: what a failed sync left in the page
//! cache is not known (<https://wiki.postgresql.org/wiki/Fsync_Errors>).

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::FileConfig;
use crate::root::Root;

pub(crate) struct Segment {
    path: PathBuf,
    file: File,
    /// The bytes of the batches that are delivered.
    good: u64,
    opened: Instant,
}

impl Segment {
    pub(crate) fn create(root: &Root, path: PathBuf, now: Instant) -> io::Result<Self> {
        let file = root.disk.create(&path)?;
        Ok(Self {
            path,
            file,
            good: 0,
            opened: now,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file holds no delivered batch.
    pub(crate) fn is_empty(&self) -> bool {
        self.good == 0
    }

    /// Whether the file has reached its size or its age.
    pub(crate) fn is_due(&self, config: &FileConfig, now: Instant) -> bool {
        self.good >= config.rotate_size
            || now.saturating_duration_since(self.opened) >= config.rotate_age
    }

    /// Writes a batch and, where the configuration asks for it, brings it to the disk, with the
    /// file's name if it is the first one. After an error, [`restore`](Self::restore) comes
    /// next.
    pub(crate) fn append(&mut self, root: &Root, lines: &[u8]) -> io::Result<()> {
        root.disk.write_all(&mut self.file, lines)?;
        if root.config.sync {
            root.disk.sync_data(&self.file)?;
            if self.is_empty() {
                root.disk.sync_folder(self.folder())?;
            }
        }
        // Without a name, what was written is out of every reader's reach.
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(
                ErrorKind::NotFound,
                "the file was removed while it was in use",
            ));
        }
        self.good += lines.len() as u64;
        Ok(())
    }

    /// Takes everything off the file that is not of a delivered batch; removes it where nothing is
    /// left. May be tried again after an error.
    pub(crate) fn restore(&self, root: &Root) -> io::Result<()> {
        if self.is_empty() {
            root.disk.remove(&self.path)?;
            return if root.config.sync {
                root.disk.sync_folder(self.folder())
            } else {
                Ok(())
            };
        }
        root.disk.set_len(&self.file, self.good)?;
        if root.config.sync {
            root.disk.sync_data(&self.file)
        } else {
            Ok(())
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}
