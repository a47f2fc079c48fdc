//! Metrics of one topic's workers: records by outcome, batch sizes, write times.

use std::array;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::register::Register;
use crate::pipeline::Observer;
use crate::record::Kind;

const WRITE_SECONDS: [f64; 14] = [
    0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0,
];
const BATCH_RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

/// The metrics that one topic's workers report to.
pub struct TopicMetrics {
    delivered: IntCounter,
    rejected: IntCounter,
    undelivered: IntCounter,
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
                delivered: records("delivered"),
                rejected: records("rejected"),
                undelivered: records("undelivered"),
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

impl Observer for TopicMetrics {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch is far below 2^52 records"
    )]
    fn wrote(&self, records: usize, elapsed: Duration) {
        self.batch_records.observe(records as f64);
        self.write_seconds.observe(elapsed.as_secs_f64());
    }

    fn settled(&self, delivered: usize, rejected: usize, undelivered: usize) {
        self.delivered.inc_by(delivered as u64);
        self.rejected.inc_by(rejected as u64);
        self.undelivered.inc_by(undelivered as u64);
    }
}
