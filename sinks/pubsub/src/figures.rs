//! What the sink counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::failure::Failure;

#[derive(Default)]
pub(crate) struct Figures {
    publishes: AtomicU64,
    publish_micros: AtomicU64,
    round_trip_micros: AtomicU64,
    retries: AtomicU64,
    connections: AtomicU64,
    reconnects: AtomicU64,
    in_flight_messages: AtomicU64,
    in_flight_bytes: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Figures {
    /// Messages were sent, and all of their answers, or the deadline, came after `elapsed`.
    pub(crate) fn published(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.publishes.fetch_add(1, Ordering::Relaxed);
        self.publish_micros.fetch_add(micros, Ordering::Relaxed);
        self.round_trip_micros.store(micros, Ordering::Relaxed);
    }

    /// An attempt at a request failed.
    pub(crate) fn failed(&self, failure: Failure) {
        let index = Failure::ALL.iter().position(|(one, _)| *one == failure);
        if let Some(count) = index.and_then(|index| self.failures.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The client tries a request again.
    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A writer makes a connection, its first one or `again`.
    pub(crate) fn connects(&self, again: bool) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.reconnects
            .fetch_add(u64::from(again), Ordering::Relaxed);
    }

    /// Counts messages as in flight until what it gives back is dropped.
    pub(crate) fn send(&self, messages: usize, bytes: usize) -> InFlight<'_> {
        let (messages, bytes) = (messages as u64, bytes as u64);
        self.in_flight_messages
            .fetch_add(messages, Ordering::Relaxed);
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        InFlight {
            figures: self,
            messages,
            bytes,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn read(&self) -> Vec<(&'static str, f64)> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let seconds = |counter: &AtomicU64| count(counter) / 1e6;
        let mut figures = vec![
            ("publishes_total", count(&self.publishes)),
            ("publish_seconds_total", seconds(&self.publish_micros)),
            ("round_trip_seconds", seconds(&self.round_trip_micros)),
            ("retries_total", count(&self.retries)),
            ("connections_total", count(&self.connections)),
            ("reconnects_total", count(&self.reconnects)),
            ("buffered_records", count(&self.in_flight_messages)),
            ("buffered_bytes", count(&self.in_flight_bytes)),
        ];
        figures.extend(
            Failure::ALL
                .iter()
                .zip(&self.failures)
                .map(|((_, name), counter)| (*name, count(counter))),
        );
        figures
    }
}

pub(crate) struct InFlight<'a> {
    figures: &'a Figures,
    messages: u64,
    bytes: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.figures
            .in_flight_messages
            .fetch_sub(self.messages, Ordering::Relaxed);
        self.figures
            .in_flight_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
