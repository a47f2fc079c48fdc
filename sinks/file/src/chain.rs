//! One writer's files, one after another, of which at most one is open.
//!
//! Never holds an open file with bytes that are not delivered: a file that a batch failed on is
//! restored and closed, and until that has worked the chain takes nothing.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use iem_sink::SinkError;

use crate::disk::failed;
use crate::segment::Segment;
use crate::topic::Topic;

pub(crate) struct Chain {
    topic: Arc<Topic>,
    open: Option<Segment>,
    /// A file with a failed batch at its end, still to be restored.
    damaged: Option<Segment>,
}

impl Chain {
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        Self {
            topic,
            open: None,
            damaged: None,
        }
    }

    /// Appends a batch, whose first record was received at `first`, as a whole or not at all.
    pub(crate) fn append(
        &mut self,
        lines: &[u8],
        first: SystemTime,
        now: Instant,
    ) -> Result<(), SinkError> {
        self.tidy(now)?;
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.topic.create_segment(first, now)?,
        };
        if let Err(error) = segment.append(&self.topic.root, lines) {
            let error = failed("write", segment.path(), &error);
            self.damaged = Some(segment);
            // Where this fails, the next batch finds it still to be done, and says why.
            let _ = self.restore();
            return Err(error);
        }
        self.open = Some(segment);
        self.close_if_due(now);
        Ok(())
    }

    /// Restores a damaged file, and closes an open one that has reached its age.
    pub(crate) fn tidy(&mut self, now: Instant) -> Result<(), SinkError> {
        self.close_if_due(now);
        self.restore()
    }

    fn restore(&mut self) -> Result<(), SinkError> {
        let Some(segment) = &self.damaged else {
            return Ok(());
        };
        segment
            .restore(&self.topic.root)
            .map_err(|error| failed("take a failed batch off", segment.path(), &error))?;
        let restored = self.damaged.take();
        self.retire(restored);
        Ok(())
    }

    fn close_if_due(&mut self, now: Instant) {
        let config = &self.topic.root.config;
        let due = self.open.take_if(|segment| segment.is_due(config, now));
        self.retire(due);
    }

    /// The path of the open file.
    #[cfg(test)]
    pub(crate) fn open_path(&self) -> Option<&std::path::Path> {
        self.open.as_ref().map(Segment::path)
    }

    /// Whether a file is still to be restored.
    #[cfg(test)]
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.is_some()
    }

    /// Ends as a process does that is killed: without putting anything in order.
    #[cfg(test)]
    pub(crate) fn crash(mut self) {
        (self.open, self.damaged) = (None, None);
    }

    /// Closes a file, and hands it on.
    fn retire(&self, segment: Option<Segment>) {
        if let Some(segment) = segment {
            self.topic.retire(&segment);
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            tracing::warn!(%error, "left to the next start");
        }
        let open = self.open.take();
        self.retire(open);
    }
}
