//! Statistics of the sink: publish calls, connections, messages in flight, errors by kind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use iem_sink::Statistic;

use crate::failure::Failure;

/// The counts of one sink, shared by its writers.
#[derive(Default)]
pub(crate) struct Statistics {
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

impl Statistics {
    /// Counts a publish request whose answer, or its deadline, came after `elapsed`.
    pub(crate) fn count_publish(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.publishes.fetch_add(1, Ordering::Relaxed);
        self.publish_micros.fetch_add(micros, Ordering::Relaxed);
        self.round_trip_micros.store(micros, Ordering::Relaxed);
    }

    /// Counts a failed attempt at a request.
    pub(crate) fn count_failure(&self, failure: Failure) {
        self.failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that the client tries again.
    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection: a writer's first one, or one made `again`.
    pub(crate) fn count_connection(&self, again: bool) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.reconnects
            .fetch_add(u64::from(again), Ordering::Relaxed);
    }

    /// Counts messages as in flight until the guard is dropped.
    pub(crate) fn in_flight(&self, messages: usize, bytes: usize) -> InFlight<'_> {
        let messages = messages as u64;
        let bytes = bytes as u64;
        self.in_flight_messages
            .fetch_add(messages, Ordering::Relaxed);
        self.in_flight_bytes.fetch_add(bytes, Ordering::Relaxed);
        InFlight {
            statistics: self,
            messages,
            bytes,
        }
    }

    /// Returns all of them for metrics.
    pub(crate) fn read(&self) -> Vec<Statistic> {
        let mut statistics = self.gauges().to_vec();
        statistics.extend(self.counters());
        statistics.extend(self.errors());
        statistics
    }

    fn gauges(&self) -> [Statistic; 3] {
        [
            Statistic::gauge(
                "round_trip_seconds",
                "Time of the last publish call.",
                seconds(&self.round_trip_micros),
            ),
            Statistic::gauge(
                "buffered_records",
                "Records handed to the client and not yet confirmed.",
                count(&self.in_flight_messages),
            ),
            Statistic::gauge(
                "buffered_bytes",
                "Bytes of records handed to the client and not yet confirmed.",
                count(&self.in_flight_bytes),
            ),
        ]
    }

    fn counters(&self) -> [Statistic; 5] {
        [
            Statistic::counter("publishes_total", "Publish calls.", count(&self.publishes)),
            Statistic::counter(
                "publish_seconds_total",
                "Time that publish calls took.",
                seconds(&self.publish_micros),
            ),
            Statistic::counter(
                "retries_total",
                "Requests that the client repeated.",
                count(&self.retries),
            ),
            Statistic::counter(
                "connections_total",
                "Connections made.",
                count(&self.connections),
            ),
            Statistic::counter(
                "reconnects_total",
                "Connections made again.",
                count(&self.reconnects),
            ),
        ]
    }

    fn errors(&self) -> impl Iterator<Item = Statistic> {
        let failures = Failure::ALL.into_iter().zip(&self.failures);
        failures.map(|(failure, errors)| {
            Statistic::counter(
                "errors_total",
                "Failed attempts at requests, by kind.",
                count(errors),
            )
            .with_label("kind", failure.label())
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn seconds(micros: &AtomicU64) -> f64 {
    count(micros) / 1e6
}

/// A guard that counts messages as in flight.
pub(crate) struct InFlight<'a> {
    statistics: &'a Statistics,
    messages: u64,
    bytes: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.statistics
            .in_flight_messages
            .fetch_sub(self.messages, Ordering::Relaxed);
        self.statistics
            .in_flight_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
