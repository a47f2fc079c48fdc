//! What the client says of itself, from librdkafka's statistics, as plain figures for metrics.
//! Source: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/STATISTICS.md>.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::statistics::Statistics;

use crate::failure::Kind;

/// Errors of records by kind, by the names that metrics know.
const ERRORS: [&str; Kind::COUNT] = [
    "errors_timed_out_total",
    "errors_transport_total",
    "errors_not_enough_replicas_total",
    "errors_too_large_total",
    "errors_unknown_topic_total",
    "errors_refused_total",
    "errors_producer_replaced_total",
    "errors_other_total",
];

/// What only ever grows, of one producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: u64,
    retries: u64,
    transmit_errors: u64,
    request_timeouts: u64,
    reconnects: u64,
}

/// What the last statistics said.
#[derive(Clone, Copy, Debug, Default)]
struct Snapshot {
    counts: Counts,
    buffered_records: u64,
    buffered_bytes: u64,
    round_trip_average: f64,
    round_trip_p99: f64,
}

/// The figures of a producer and of those before it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    errors: [AtomicU64; Kind::COUNT],
    replaced: AtomicU64,
    /// The counts of producers that are gone.
    past: Mutex<Counts>,
    last: Mutex<Snapshot>,
}

impl Figures {
    pub(crate) fn count_error(&self, kind: Kind) {
        self.errors[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A producer was made anew: its counts begin at nothing.
    pub(crate) fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
        let counts = std::mem::take(&mut *lock(&self.last)).counts;
        lock(&self.past).add(counts);
    }

    pub(crate) fn take(&self, statistics: &Statistics) {
        *lock(&self.last) = Snapshot::of(statistics);
    }

    /// Of several together: the sums, and of round trips the longest.
    pub(crate) fn of_all<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<(&'static str, f64)> {
        let add = |mut sums: Vec<(&'static str, f64)>, one: Vec<(&'static str, f64)>| {
            for ((name, sum), (_, value)) in sums.iter_mut().zip(one) {
                *sum = if name.starts_with("round_trip") {
                    sum.max(value)
                } else {
                    *sum + value
                };
            }
            sums
        };
        all.map(Self::all).reduce(add).unwrap_or_default()
    }

    #[allow(clippy::cast_precision_loss)]
    fn all(&self) -> Vec<(&'static str, f64)> {
        let last = *lock(&self.last);
        let mut counts = *lock(&self.past);
        counts.add(last.counts);
        let mut all = vec![
            ("round_trip_seconds", last.round_trip_average),
            ("round_trip_seconds_p99", last.round_trip_p99),
            ("buffered_records", last.buffered_records as f64),
            ("buffered_bytes", last.buffered_bytes as f64),
            ("requests_total", counts.requests as f64),
            ("retries_total", counts.retries as f64),
            ("transmit_errors_total", counts.transmit_errors as f64),
            ("request_timeouts_total", counts.request_timeouts as f64),
            ("reconnects_total", counts.reconnects as f64),
            (
                "producers_replaced_total",
                self.replaced.load(Ordering::Relaxed) as f64,
            ),
        ];
        let errors = ERRORS.iter().zip(&self.errors);
        all.extend(errors.map(|(name, count)| (*name, count.load(Ordering::Relaxed) as f64)));
        all
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.transmit_errors += other.transmit_errors;
        self.request_timeouts += other.request_timeouts;
        self.reconnects += other.reconnects;
    }
}

impl Snapshot {
    /// Counts are summed over the brokers; of round trips, the slowest broker's count. librdkafka
    /// has microseconds.
    #[allow(clippy::cast_precision_loss)]
    fn of(statistics: &Statistics) -> Self {
        let mut snapshot = Self {
            buffered_records: statistics.msg_cnt,
            buffered_bytes: statistics.msg_size,
            ..Self::default()
        };
        for broker in statistics.brokers.values() {
            snapshot.counts.add(Counts {
                requests: broker.tx,
                retries: broker.txretries,
                transmit_errors: broker.txerrs,
                request_timeouts: broker.req_timeouts,
                reconnects: broker.connects.map_or(0, |connects| {
                    u64::try_from(connects).unwrap_or(0).saturating_sub(1)
                }),
            });
            if let Some(round_trip) = &broker.rtt {
                let slower = |so_far: f64, micros: i64| so_far.max(micros as f64 / 1e6);
                snapshot.round_trip_average = slower(snapshot.round_trip_average, round_trip.avg);
                snapshot.round_trip_p99 = slower(snapshot.round_trip_p99, round_trip.p99);
            }
        }
        snapshot
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Broker, Window};

    use super::*;

    fn figure(figures: &Figures, name: &str) -> f64 {
        figures
            .all()
            .into_iter()
            .find(|(found, _)| *found == name)
            .unwrap()
            .1
    }

    #[test]
    fn figures_are_of_all_brokers_and_outlive_a_producer() {
        let broker = |micros| Broker {
            tx: 3,
            txretries: 2,
            connects: Some(2),
            rtt: Some(Window {
                avg: micros,
                p99: micros * 10,
                ..Window::default()
            }),
            ..Broker::default()
        };
        let statistics = Statistics {
            msg_cnt: 7,
            brokers: [
                ("a".to_owned(), broker(1000)),
                ("b".to_owned(), broker(2000)),
            ]
            .into(),
            ..Statistics::default()
        };
        let figures = Figures::default();
        figures.take(&statistics);
        assert_eq!(figure(&figures, "round_trip_seconds").to_string(), "0.002");
        assert_eq!(
            figure(&figures, "round_trip_seconds_p99").to_string(),
            "0.02"
        );
        assert_eq!(figure(&figures, "buffered_records").to_string(), "7");
        assert_eq!(figure(&figures, "retries_total").to_string(), "4");

        figures.replaced();
        assert_eq!(figure(&figures, "buffered_records").to_string(), "0");
        figures.take(&statistics);
        assert_eq!(figure(&figures, "retries_total").to_string(), "8");
        assert_eq!(figure(&figures, "reconnects_total").to_string(), "4");
        assert_eq!(
            figure(&figures, "producers_replaced_total").to_string(),
            "1"
        );

        figures.count_error(Kind::Other);
        assert_eq!(figure(&figures, "errors_other_total").to_string(), "1");

        let both = Figures::of_all([&figures, &figures].into_iter());
        let figure = |name| {
            both.iter()
                .find(|(found, _)| *found == name)
                .unwrap()
                .1
                .to_string()
        };
        assert_eq!(
            (figure("retries_total"), figure("round_trip_seconds")),
            ("16".into(), "0.002".into())
        );
    }
}
