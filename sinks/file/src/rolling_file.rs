//! The rolling file of one writer: a sequence of files, of which at most one is open.
//!
//! Never keeps an open file that contains bytes of an undelivered batch. A file that a batch
//! failed on is truncated to its delivered bytes and closed, and until that has succeeded, no
//! other batch is written.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use iem_disk::DiskError;

use crate::open_file::OpenFile;
use crate::topic::Topic;

/// The rolling file of one writer.
pub(crate) struct RollingFile {
    topic: Arc<Topic>,
    open: Option<OpenFile>,
    /// A file that ends in a failed batch, which must still be taken off.
    damaged: Option<OpenFile>,
}

impl RollingFile {
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        Self {
            topic,
            open: None,
            damaged: None,
        }
    }

    /// Appends a batch as a whole or not at all. The first record was received at `first`.
    pub(crate) fn append(
        &mut self,
        lines: &[u8],
        first: SystemTime,
        now: Instant,
    ) -> Result<(), DiskError> {
        self.maintain(now)?;
        let mut file = match self.open.take() {
            Some(file) => file,
            None => self.topic.create_file(first, now)?,
        };
        if let Err(error) = file.append(&self.topic.directory, lines) {
            let error = DiskError::new("write", file.path(), error);
            self.damaged = Some(file);
            // If this fails, the next batch tries it again and reports the error.
            let _ = self.restore();
            return Err(error);
        }
        self.open = Some(file);
        self.close_if_due(now);
        Ok(())
    }

    /// Closes the open file if it has reached its age, and restores a damaged one.
    pub(crate) fn maintain(&mut self, now: Instant) -> Result<(), DiskError> {
        self.close_if_due(now);
        self.restore()
    }

    fn restore(&mut self) -> Result<(), DiskError> {
        let Some(file) = &mut self.damaged else {
            return Ok(());
        };
        file.restore(&self.topic.directory)
            .map_err(|error| DiskError::new("remove a failed batch from", file.path(), error))?;
        if let Some(restored) = self.damaged.take() {
            self.topic.close(restored);
        }
        Ok(())
    }

    fn close_if_due(&mut self, now: Instant) {
        let config = &self.topic.directory.config;
        if let Some(due) = self.open.take_if(|file| file.is_due(config, now)) {
            self.topic.close(due);
        }
    }

    /// Returns the path of the open file.
    #[cfg(test)]
    pub(crate) fn open_path(&self) -> Option<&std::path::Path> {
        self.open.as_ref().map(OpenFile::path)
    }

    /// Returns whether a file must still be restored.
    #[cfg(test)]
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.is_some()
    }

    /// Ends like a killed process: neither restores nor closes anything.
    #[cfg(test)]
    pub(crate) fn crash(mut self) {
        self.open = None;
        self.damaged = None;
    }
}

impl Drop for RollingFile {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            tracing::warn!(%error, "the next start removes the failed batch");
        }
        if let Some(open) = self.open.take() {
            self.topic.close(open);
        }
    }
}
