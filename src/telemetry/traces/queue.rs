//! The bounded queue of spans in front of the exporter, and what has become of each.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc;

use crate::config::SPANS_WAITING_MAX;

/// The last places, for the spans of whole requests.
pub(super) const WHOLE_REQUESTS: usize = SPANS_WAITING_MAX / 8;

/// The queue as those see it who tell spans.
pub(super) struct SpanQueue {
    sender: mpsc::Sender<SpanData>,
    ends: SpanEnds,
}

/// The ends of spans since the start.
#[derive(Default)]
pub(super) struct SpanEnds {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// The numbers of spans since the start, by their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector has taken them.
    pub exported: u64,
    /// The collector has refused them, or did not answer.
    pub failed: u64,
    /// Too many others waited for the collector.
    pub dropped: u64,
}

impl SpanQueue {
    pub(super) fn new() -> (Self, mpsc::Receiver<SpanData>) {
        let (sender, receiver) = mpsc::channel(SPANS_WAITING_MAX);
        let ends = SpanEnds::default();
        (Self { sender, ends }, receiver)
    }

    /// Takes a span, or drops it if there is no room. The last places are for those of whole requests,
    /// which come after those below them.
    pub(super) fn put(&self, span: SpanData) {
        let is_below = !span.parent_span_is_remote;
        let has_no_room = is_below && self.sender.capacity() <= WHOLE_REQUESTS;
        if has_no_room || self.sender.try_send(span).is_err() {
            self.ends.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts spans that were sent to the collector.
    pub(super) fn count_sent(&self, exported: usize, failed: usize) {
        let ends = &self.ends;
        ends.exported.fetch_add(exported as u64, Ordering::Relaxed);
        ends.failed.fetch_add(failed as u64, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> SpanCounts {
        let SpanEnds {
            exported,
            failed,
            dropped,
        } = &self.ends;
        SpanCounts {
            exported: exported.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
            dropped: dropped.load(Ordering::Relaxed),
        }
    }
}
