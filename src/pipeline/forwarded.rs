//! The way back of a record that was read from a journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;
use iem_sink::Outcome;

/// An event that a forwarder waits for.
#[derive(Debug)]
pub(super) enum Event {
    /// A worker has told the outcome of a record, by its sequence number.
    Settled(u64, Outcome),
    /// There is more to read, or the topic closes.
    More,
}

/// A record's way back to its forwarder. Dropping it tells that the record is not delivered, as far
/// as is known.
pub(super) struct Forwarded {
    sequence: u64,
    outcome: Outcome,
    is_met: bool,
    events: Sender<Event>,
    met: Arc<AtomicU64>,
}

impl Forwarded {
    /// `met` counts the records that workers have taken or refused.
    pub(super) fn new(sequence: u64, events: Sender<Event>, met: Arc<AtomicU64>) -> Self {
        Self {
            sequence,
            outcome: Outcome::default(),
            is_met: false,
            events,
            met,
        }
    }

    /// Notes that the worker has taken the record, and does not refuse it any more.
    pub(super) fn taken(&mut self) {
        if !std::mem::replace(&mut self.is_met, true) {
            self.met.fetch_add(1, Ordering::Release);
        }
    }

    /// Tells the outcome.
    pub(super) fn tell(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // A forwarder that is gone reads the record again after the next start.
        let _ = self
            .events
            .send(Event::Settled(self.sequence, self.outcome));
        // Who sees the count finds the event.
        self.taken();
    }
}
