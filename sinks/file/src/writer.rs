//! The writer of one worker. Formats a batch as lines, and appends them in one write.

use std::sync::{Arc, Weak};
use std::time::Instant;

use iem_sink::{Sending, Settled, SinkError, Writer};
use parking_lot::Mutex;

use crate::error;
use crate::line::Lines;
use crate::rolling_file::RollingFile;
use crate::topic::Topic;

/// The writer of one worker to one topic.
pub(crate) struct FileWriter {
    /// Shared with the maintenance thread, which closes an idle file.
    rolling_file: Arc<Mutex<RollingFile>>,
    lines: Lines,
    /// The capacity in bytes that the buffer keeps between batches. A batch may need more, because
    /// of its attributes or of one large request.
    buffer_bytes_kept: usize,
}

impl FileWriter {
    pub(crate) fn new(topic: Arc<Topic>, batch_bytes: usize) -> Self {
        Self {
            rolling_file: Arc::new(Mutex::new(RollingFile::new(topic))),
            lines: Lines::default(),
            buffer_bytes_kept: batch_bytes.saturating_mul(2),
        }
    }

    pub(crate) fn rolling_file(&self) -> Weak<Mutex<RollingFile>> {
        Arc::downgrade(&self.rolling_file)
    }

    fn append(&mut self, records: &[Sending<'_>], deadline: Instant) -> Result<(), SinkError> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(SinkError::transient(
                "the deadline had passed before the batch was written",
            ));
        }
        for sending in records {
            self.lines.append(sending.record);
        }
        let time = first.record.context.time;
        let appended = self
            .rolling_file
            .lock()
            .append(self.lines.bytes(), time, now);
        self.lines.clear(self.buffer_bytes_kept);
        appended.map_err(error::from_disk)
    }

    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.lines.capacity()
    }
}

impl Writer for FileWriter {
    /// Writes the batch, as a whole or not at all, before it returns.
    fn send(&mut self, records: &[Sending<'_>], deadline: Instant, settled: &mut Settled) {
        let tokens = records.iter().map(|sending| sending.token);
        match self.append(records, deadline) {
            Ok(()) => tokens.for_each(|token| settled.delivered(token)),
            Err(error) => settled.failed(tokens, error),
        }
    }
}
