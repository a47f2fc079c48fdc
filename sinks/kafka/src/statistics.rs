//! Statistics of the Kafka client: librdkafka's own numbers, and failed records by kind.
//!
//! librdkafka reports its numbers every 5 seconds; reading them here asks no broker.
//! Source: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/STATISTICS.md>.

use std::sync::atomic::{AtomicU64, Ordering};

use iem_sink::Statistic;
use parking_lot::Mutex;
use rdkafka::statistics::{Broker, Statistics};

use crate::failure::Kind;

/// Totals of one producer.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    retries: u64,
    transmit_errors: u64,
    request_timeouts: u64,
    reconnects: u64,
}

/// The latest report of one producer.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    counts: Counts,
    buffered_records: u64,
    buffered_bytes: u64,
    round_trip_seconds: f64,
    round_trip_p99_seconds: f64,
}

/// The statistics of a producer and of those it replaced.
#[derive(Debug, Default)]
pub(crate) struct ProducerStatistics {
    errors: [AtomicU64; Kind::ALL.len()],
    replaced: AtomicU64,
    reports: Mutex<Reports>,
}

#[derive(Debug, Default)]
struct Reports {
    /// Totals of the replaced producers.
    past: Counts,
    latest: Report,
    /// The name of the producer that sent the latest report.
    producer: Option<String>,
    /// The name of the last replaced producer.
    replaced: Option<String>,
}

impl ProducerStatistics {
    /// Counts a record that failed.
    pub(crate) fn count_error(&self, kind: Kind) {
        self.errors[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a replaced producer. The next one begins its totals at zero.
    pub(crate) fn count_replacement(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
        let mut reports = self.reports.lock();
        let latest = std::mem::take(&mut reports.latest);
        reports.past.add(latest.counts);
        // A producer that was replaced before its first report leaves the name of the one before.
        if let Some(name) = reports.producer.take() {
            reports.replaced = Some(name);
        }
    }

    /// Keeps librdkafka's report.
    pub(crate) fn set(&self, statistics: &Statistics) {
        let mut reports = self.reports.lock();
        // A replaced producer reports until it has ended. Its totals are in `past` already, and a
        // counter must not fall.
        if reports.replaced.as_ref() != Some(&statistics.name) {
            let report = Report::from(statistics);
            // librdkafka forgets brokers that leave the cluster; their counts stay.
            let forgotten = reports.latest.counts.beyond(report.counts);
            reports.past.add(forgotten);
            reports.latest = report;
            reports.producer = Some(statistics.name.clone());
        }
    }
}

/// Sums over producers; of round trips, the longest.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    report: Report,
    replaced: u64,
    errors: [u64; Kind::ALL.len()],
}

/// Returns the statistics of several producers together.
pub(crate) fn statistics<'a>(
    producers: impl Iterator<Item = &'a ProducerStatistics>,
) -> Vec<Statistic> {
    let mut totals = Totals::default();
    for producer in producers {
        totals.add(producer);
    }
    let mut statistics = totals.gauges().to_vec();
    statistics.extend(totals.counters());
    statistics.extend(totals.errors());
    statistics
}

#[expect(clippy::cast_precision_loss, reason = "totals stay far below 2^52")]
impl Totals {
    fn add(&mut self, producer: &ProducerStatistics) {
        let (past, latest) = {
            let reports = producer.reports.lock();
            (reports.past, reports.latest)
        };
        let report = &mut self.report;
        report.counts.add(past);
        report.counts.add(latest.counts);
        report.buffered_records += latest.buffered_records;
        report.buffered_bytes += latest.buffered_bytes;
        report.keep_slowest(latest.round_trip_seconds, latest.round_trip_p99_seconds);
        self.replaced += producer.replaced.load(Ordering::Relaxed);
        for (sum, errors) in self.errors.iter_mut().zip(&producer.errors) {
            *sum += errors.load(Ordering::Relaxed);
        }
    }

    fn gauges(&self) -> [Statistic; 4] {
        let report = &self.report;
        [
            Statistic::gauge(
                "round_trip_seconds",
                "Average round trip to the slowest broker, over the last 5 seconds.",
                report.round_trip_seconds,
            ),
            Statistic::gauge(
                "round_trip_p99_seconds",
                "99th percentile of round trips to the slowest broker, over the last 5 seconds.",
                report.round_trip_p99_seconds,
            ),
            Statistic::gauge(
                "buffered_records",
                "Records handed to the client and not yet confirmed.",
                report.buffered_records as f64,
            ),
            Statistic::gauge(
                "buffered_bytes",
                "Bytes of records handed to the client and not yet confirmed.",
                report.buffered_bytes as f64,
            ),
        ]
    }

    fn counters(&self) -> [Statistic; 6] {
        let counts = &self.report.counts;
        [
            Statistic::counter(
                "requests_total",
                "Requests sent to brokers.",
                counts.requests as f64,
            ),
            Statistic::counter(
                "retries_total",
                "Requests that the client repeated.",
                counts.retries as f64,
            ),
            Statistic::counter(
                "transmit_errors_total",
                "Requests that failed on their way to a broker.",
                counts.transmit_errors as f64,
            ),
            Statistic::counter(
                "request_timeouts_total",
                "Requests without an answer in time.",
                counts.request_timeouts as f64,
            ),
            Statistic::counter(
                "reconnects_total",
                "Connections made again.",
                counts.reconnects as f64,
            ),
            Statistic::counter(
                "producers_replaced_total",
                "Producers replaced after a fatal error, or for smaller batches.",
                self.replaced as f64,
            ),
        ]
    }

    fn errors(&self) -> impl Iterator<Item = Statistic> {
        Kind::ALL.into_iter().zip(self.errors).map(|(kind, count)| {
            Statistic::counter(
                "errors_total",
                "Records that failed, by kind.",
                count as f64,
            )
            .with_label("kind", kind.label())
        })
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

    /// Returns by how much each count is greater than the `other`'s.
    fn beyond(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            retries: self.retries.saturating_sub(other.retries),
            transmit_errors: self.transmit_errors.saturating_sub(other.transmit_errors),
            request_timeouts: self.request_timeouts.saturating_sub(other.request_timeouts),
            reconnects: self.reconnects.saturating_sub(other.reconnects),
        }
    }
}

impl From<&Broker> for Counts {
    fn from(broker: &Broker) -> Self {
        let connects = u64::try_from(broker.connects.unwrap_or(0)).unwrap_or(0);
        Self {
            requests: broker.tx,
            retries: broker.txretries,
            transmit_errors: broker.txerrs,
            request_timeouts: broker.req_timeouts,
            reconnects: connects.saturating_sub(1),
        }
    }
}

impl From<&Statistics> for Report {
    /// Sums the counts over the brokers, and takes the slowest broker's round trips. librdkafka
    /// measures them in microseconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a round trip is far below 2^52 microseconds"
    )]
    fn from(statistics: &Statistics) -> Self {
        let mut report = Self {
            buffered_records: statistics.msg_cnt,
            buffered_bytes: statistics.msg_size,
            ..Self::default()
        };
        for broker in statistics.brokers.values() {
            report.counts.add(Counts::from(broker));
            if let Some(round_trip) = &broker.rtt {
                report.keep_slowest(round_trip.avg as f64 / 1e6, round_trip.p99 as f64 / 1e6);
            }
        }
        report
    }
}

impl Report {
    /// Keeps the longer round trips.
    fn keep_slowest(&mut self, average: f64, p99: f64) {
        self.round_trip_seconds = self.round_trip_seconds.max(average);
        self.round_trip_p99_seconds = self.round_trip_p99_seconds.max(p99);
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Window;

    use super::*;

    fn broker(round_trip_micros: i64) -> Broker {
        Broker {
            tx: 3,
            txretries: 2,
            connects: Some(2),
            rtt: Some(Window {
                avg: round_trip_micros,
                p99: round_trip_micros * 10,
                ..Window::default()
            }),
            ..Broker::default()
        }
    }

    fn report(producer: &str) -> Statistics {
        Statistics {
            name: producer.to_owned(),
            msg_cnt: 7,
            brokers: [
                ("a".to_owned(), broker(1000)),
                ("b".to_owned(), broker(2000)),
            ]
            .into(),
            ..Statistics::default()
        }
    }

    /// Checks the values of statistics without a label, or with this kind of error.
    fn check(producers: &[&ProducerStatistics], expected: &[(&str, &str)]) {
        let statistics = statistics(producers.iter().copied());
        for (name, value) in expected {
            let (name, kind) = name.split_once('/').unwrap_or((name, ""));
            let found = statistics.iter().find(|statistic| {
                statistic.name == name && statistic.label.is_none_or(|(_, label)| label == kind)
            });
            assert_eq!(found.unwrap().value.to_string(), *value, "{name} {kind}");
        }
    }

    #[test]
    fn statistics_sum_over_brokers_producers_and_replaced_producers() {
        let one = ProducerStatistics::default();
        one.set(&report("producer-1"));
        let of_two_brokers = [
            ("round_trip_seconds", "0.002"),
            ("round_trip_p99_seconds", "0.02"),
            ("buffered_records", "7"),
            ("retries_total", "4"),
        ];
        check(&[&one], &of_two_brokers);

        one.count_replacement();
        check(
            &[&one],
            &[("buffered_records", "0"), ("retries_total", "4")],
        );
        one.set(&report("producer-1"));
        check(&[&one], &[("retries_total", "4")]);
        one.count_replacement();
        one.set(&report("producer-1"));
        check(&[&one], &[("retries_total", "4")]);
        one.set(&report("producer-2"));
        one.count_error(Kind::Other);
        let of_two_producers = [
            ("retries_total", "8"),
            ("reconnects_total", "4"),
            ("producers_replaced_total", "2"),
            ("errors_total/other", "1"),
            ("errors_total/timed_out", "0"),
        ];
        check(&[&one], &of_two_producers);
        check(
            &[&one, &one],
            &[("retries_total", "16"), ("round_trip_seconds", "0.002")],
        );
    }

    #[test]
    fn a_broker_that_leaves_the_cluster_keeps_its_counts() {
        let producer = ProducerStatistics::default();
        let mut statistics = report("producer-1");
        producer.set(&statistics);
        statistics.brokers.remove("a");
        producer.set(&statistics);
        check(&[&producer], &[("retries_total", "4")]);
        statistics.brokers.insert("c".to_owned(), broker(1000));
        producer.set(&statistics);
        check(&[&producer], &[("retries_total", "6")]);
    }
}
