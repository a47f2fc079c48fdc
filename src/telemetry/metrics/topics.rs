//! Metrics of one topic's workers: records by outcome, batch sizes, write times.

use std::array;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::register::Register;
use super::totals::raise;
use crate::pipeline::{Balance, Observer};
use crate::record::Kind;

const WRITE_SECONDS: [f64; 14] = [
    0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0,
];
const BATCH_RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

/// A number of a topic's books.
type Count = fn(&Balance) -> u64;

/// The ends of accepted records, by the label of their counter.
const ENDS: [(&str, Count); 5] = [
    ("delivered", |balance| balance.delivered),
    ("dead_lettered", |balance| balance.dead_lettered),
    ("rejected", |balance| balance.rejected),
    ("undelivered", |balance| balance.undelivered),
    ("damaged", |balance| balance.damaged),
];

/// The metrics that one topic's workers report to.
pub struct TopicMetrics {
    accepted: IntCounter,
    ends: [(IntCounter, Count); ENDS.len()],
    late: IntCounter,
    in_flight: IntGauge,
    unaccounted: IntGauge,
    full: IntCounter,
    batch_records: Histogram,
    write_seconds: Histogram,
}

impl TopicMetrics {
    pub(super) fn all(register: &Register) -> Result<[Arc<Self>; Kind::COUNT], prometheus::Error> {
        let records = register.counters(
            "records_total",
            "Accepted records by outcome, and records that found the queue full.",
            &["topic", "outcome"],
        )?;
        let topic = &["topic"];
        let accepted = register.counters(
            "accepted_records_total",
            "Records accepted, into the journal of earlier runs, too.",
            topic,
        )?;
        let late = register.counters(
            "late_records_total",
            "Records delivered after their request was answered 503.",
            topic,
        )?;
        let in_flight = register.gauges(
            "in_flight_records",
            "Records accepted, not answered and not in a journal.",
            topic,
        )?;
        let unaccounted = register.gauges(
            "unaccounted_records",
            "Accepted records whose place or end is not known. Anything but 0 is a fault.",
            topic,
        )?;
        let batch = register.histograms(
            "batch_records",
            "Records of one batch that went to one unit of the sink.",
            &["topic"],
            &BATCH_RECORDS,
        )?;
        let seconds = register.histograms(
            "write_seconds",
            "Time from the hand-over of a batch to the last of its outcomes.",
            &["topic"],
            &WRITE_SECONDS,
        )?;
        Ok(array::from_fn(|index| {
            let topic = Kind::ALL[index].topic();
            let records = |outcome| records.with_label_values(&[topic, outcome]);
            Arc::new(Self {
                accepted: accepted.with_label_values(&[topic]),
                ends: ENDS.map(|(outcome, count)| (records(outcome), count)),
                late: late.with_label_values(&[topic]),
                in_flight: in_flight.with_label_values(&[topic]),
                unaccounted: unaccounted.with_label_values(&[topic]),
                full: records("full"),
                batch_records: batch.with_label_values(&[topic]),
                write_seconds: seconds.with_label_values(&[topic]),
            })
        }))
    }

    /// Counts records that found the topic's queue full.
    pub fn full(&self, records: usize) {
        self.full.inc_by(records as u64);
    }
}

impl TopicMetrics {
    /// Brings the metrics of all accepted records up to the topic's books.
    pub(super) fn set(&self, balance: &Balance) {
        raise(&self.accepted, balance.accepted);
        for (counter, count) in &self.ends {
            raise(counter, count(balance));
        }
        raise(&self.late, balance.late);
        let in_flight = i64::try_from(balance.in_flight).unwrap_or(i64::MAX);
        self.in_flight.set(in_flight);
        self.unaccounted.set(balance.unaccounted());
    }
}

impl Observer for TopicMetrics {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch is far below 2^52 records"
    )]
    fn wrote(&self, records: usize, elapsed: Duration) {
        self.batch_records.observe(records as f64);
        self.write_seconds.observe(elapsed.as_secs_f64());
    }
}
