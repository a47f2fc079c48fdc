//! The size of the largest record that a journaled topic takes: a larger one is rejected before it
//! is journaled, as the sink would reject it later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use iem_sink::{Reason, RecordLimit, TopicConfig};

use super::backend::Backend;
use super::records::Records;

/// The value of a topic without a limit.
const NONE: usize = usize::MAX;

/// The limit of a topic, as its sink has told it last.
#[derive(Debug)]
pub(super) struct SizeLimit(AtomicUsize);

impl SizeLimit {
    pub(super) fn new(bytes: Option<usize>) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes.unwrap_or(NONE))))
    }

    pub(super) fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes < NONE)
    }

    /// Notes what a writer knows. While it knows nothing, the limit stays as it was.
    pub(super) fn note(&self, limit: RecordLimit) {
        match limit {
            RecordLimit::Unknown => {}
            RecordLimit::None => self.0.store(NONE, Ordering::Relaxed),
            RecordLimit::Bytes(bytes) => self.0.store(bytes, Ordering::Relaxed),
        }
    }
}

/// The check of a topic's records before they are journaled.
pub(super) struct SizeCheck {
    pub(super) limit: Arc<SizeLimit>,
    pub(super) backend: Arc<Backend>,
    pub(super) topic: TopicConfig,
}

/// The records of a request that are too large, which were taken out of it.
#[derive(Debug)]
pub(super) struct TooLarge {
    /// The indexes of the records that are left, in the whole request.
    pub(super) left: Vec<usize>,
    pub(super) records: usize,
    pub(super) reason: Reason,
}

impl SizeCheck {
    /// Takes the records out that are certainly too large, if there are any.
    pub(super) fn take_out(&self, records: &mut Records) -> Option<TooLarge> {
        let limit = self.limit.get()?;
        // Only large ones are measured: their attributes are small beside them.
        if records.iter().all(|record| record.data.len() <= limit / 2) {
            return None;
        }
        let mut left = Vec::new();
        let mut index = 0;
        let all = records.len();
        records.retain(|record| {
            let is_large = record.data.len() > limit / 2;
            let fits = !is_large || self.backend.sink.record_bytes(&self.topic, record) <= limit;
            if fits {
                left.push(index);
            }
            index += 1;
            fits
        });
        (left.len() < all).then(|| TooLarge {
            records: all - left.len(),
            left,
            reason: Reason::TooLarge { limit },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_knows_nothing_changes_nothing() {
        let limit = SizeLimit::new(Some(500));
        limit.note(RecordLimit::Unknown);
        assert_eq!(limit.get(), Some(500));
        limit.note(RecordLimit::Bytes(600));
        assert_eq!(limit.get(), Some(600));
        limit.note(RecordLimit::None);
        assert_eq!(limit.get(), None);
        limit.note(RecordLimit::Unknown);
        assert_eq!(limit.get(), None);
    }
}
