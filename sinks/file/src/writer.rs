//! One worker's hold on one topic: makes lines of a batch, and appends them in one write.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use iem_sink::{Outcome, Record, SinkError, Writer};

use crate::chain::Chain;
use crate::line::Lines;
use crate::topic::Topic;

pub(crate) struct FileWriter {
    /// Shared with the keeper, which closes an idle file.
    chain: Arc<Mutex<Chain>>,
    lines: Lines,
    /// How much of the buffer is kept from batch to batch. A batch may be larger, by its
    /// attributes or by one large request.
    keep: usize,
}

impl FileWriter {
    pub(crate) fn new(topic: Arc<Topic>, batch_bytes: usize) -> Self {
        let chain = Arc::new(Mutex::new(Chain::new(topic)));
        Self {
            chain,
            lines: Lines::default(),
            keep: batch_bytes.saturating_mul(2),
        }
    }

    pub(crate) fn chain(&self) -> Weak<Mutex<Chain>> {
        Arc::downgrade(&self.chain)
    }

    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.lines.capacity()
    }
}

impl Writer for FileWriter {
    fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(SinkError::transient(
                "the deadline had passed before the batch was written",
            ));
        }
        for record in records {
            self.lines.append(record);
        }
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = chain.append(self.lines.bytes(), first.context.time, now);
        drop(chain);
        self.lines.clear(self.keep);
        appended?;
        outcomes.fill(Outcome::Delivered);
        Ok(())
    }
}
