//! The settled records of a journal: its forwarder tells them here, and metrics read them.

use std::ops::Range;
use std::sync::Arc;

use crate::counts::Counts;
use crate::kept_limit::KeptLimit;
use crate::log::Log;

/// The way in which a record has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The sink has it.
    Delivered,
    /// The sink will never take it, and it is kept, synced, among the dead letters.
    DeadLettered,
}

/// A handle on a journal's progress.
#[derive(Clone)]
pub struct Progress {
    log: Arc<Log>,
}

/// The state of a journal at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The records by how they have ended. Records that are settled and not yet known so to the disk
    /// count as settled.
    pub counts: Counts,
    /// The lowest sequence number that is not settled.
    pub low: u64,
    /// The same, as the disk has it.
    pub synced_low: u64,
    /// The sequence number that the next record gets, or one below it.
    pub end: u64,
    /// The settled ranges above `low`.
    pub ranges: usize,
    /// The segments, without the spare one.
    pub segments: usize,
    /// The bytes of the segments and of the spare one on the disk.
    pub bytes: u64,
    /// The most bytes that they may have.
    pub bytes_max: u64,
}

impl Progress {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Settles records. What is settled already is not counted again.
    pub fn settle(&self, sequences: Range<u64>, settlement: Settlement) {
        self.log.inner.lock().settle(
            sequences,
            match settlement {
                Settlement::Delivered => |counts: &mut Counts| &mut counts.delivered,
                Settlement::DeadLettered => |counts: &mut Counts| &mut counts.dead_lettered,
            },
        );
    }

    /// Returns whether a record is settled.
    pub fn is_settled(&self, sequence: u64) -> bool {
        self.log.inner.lock().state.cursor.is_settled(sequence)
    }

    /// Returns the counts of this moment, and the number of records that the cursor does not know as
    /// settled. The two are kept apart, and the second is the backlog of the first.
    pub fn balance(&self) -> (Counts, u64) {
        let inner = self.log.inner.lock();
        (inner.state.counts, inner.open_records())
    }

    /// Returns what is kept of the largest record that the sink takes. `of` names the sink and the
    /// topic there: a limit that was kept for another is not taken. Blocks.
    pub fn kept_limit(&self, of: &str) -> KeptLimit {
        KeptLimit::read(Arc::clone(&self.log), of)
    }

    /// Returns the state of this moment.
    pub fn status(&self) -> Status {
        let inner = self.log.inner.lock();
        let files = inner.files() as u64;
        Status {
            counts: inner.state.counts,
            low: inner.state.cursor.low(),
            synced_low: inner.durable_low,
            end: inner.end_sequence(),
            ranges: inner.state.cursor.ranges().len(),
            segments: inner.segments.len(),
            bytes: files * self.log.config.segment_bytes,
            bytes_max: self.log.config.bytes,
        }
    }
}
