//! The writer of one topic: hands records to librdkafka, and translates its delivery reports into
//! outcomes.
//!
//! librdkafka returns no record once it has it. It reports on each in the end: when the brokers
//! have answered, or when the record has timed out, which is never before the record's deadline.
//!
//! While a topic is being deleted, brokers answer its records with any error, so the first failure
//! may say nothing of it. librdkafka then asks for the topic by itself, and again every second
//! while it is missing (`rd_kafka_topic_scan_all` in `rdkafka_topic.c`): the next records fail
//! because the topic is unknown, until it is there again.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use iem_sink::{
    DeliveryToken, Outcome, Reason, Record, RecordLimit, Sending, Settled, SinkError, Writer,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::BaseRecord;

use crate::failure::{Kind, code, explain};
use crate::in_flight::{Report, Window};
use crate::message::{batch_bytes, headers};
use crate::producer::{Producer, Producers};
use crate::topic::Topic;

/// One worker's writer of one topic.
pub(crate) struct KafkaWriter {
    producers: Arc<Producers>,
    window: Window,
    topic: Arc<Topic>,
    /// The topic's deadline.
    deadline: Duration,
    /// Batches are compressed: only a broker knows whether a large record fits.
    compresses: bool,
    /// The number of units, which stays as it was when the writer was opened: `unit` says why.
    units: usize,
    /// The producer of this epoch. It is held only while records are handed to it, so that it can
    /// end once it has been replaced.
    producer: Weak<Producer>,
    /// Records in flight that are alone in their batch, since each is larger than a batch may be.
    alone: HashSet<DeliveryToken>,
    /// Memory for reports.
    reports: Vec<Report>,
}

impl KafkaWriter {
    pub(crate) fn new(
        producers: Arc<Producers>,
        window: Window,
        topic: Arc<Topic>,
        deadline: Duration,
    ) -> Self {
        let units = if producers.partitions_by_key_hash() {
            topic.partitions()
        } else {
            1
        };
        let producer = Arc::downgrade(&producers.current());
        Self {
            compresses: producers.compress(),
            producers,
            window,
            topic,
            deadline,
            units,
            producer,
            alone: HashSet::new(),
            reports: Vec::new(),
        }
    }
}

impl Writer for KafkaWriter {
    /// Returns the partition that librdkafka chooses for the record.
    ///
    /// librdkafka chooses by the number of partitions that it knows at the time. Partitions that
    /// are added while the writer is open share the old ones' units: one that does not settle may
    /// then hold up others, but the records of one key never change their unit while some of them
    /// are in flight, which would cost their order.
    fn unit(&self, record: &Record) -> usize {
        record.key_hash() as usize % self.units
    }

    fn units(&self) -> usize {
        self.units
    }

    /// Asks for half of the topic's deadline. librdkafka counts a record's time from here, so one
    /// that was handed over late would be stored long after its request was answered 503.
    fn time_needed(&self) -> Duration {
        self.deadline / 2
    }

    /// Returns the number of the producer, after a dead one has been replaced.
    fn epoch(&mut self) -> u64 {
        let producer = self.producers.alive();
        self.producer = Arc::downgrade(&producer);
        producer.number
    }

    /// Returns the topic's `max.message.bytes`, unless batches are compressed.
    fn limit(&self) -> RecordLimit {
        match self.topic.limit() {
            _ if self.compresses => RecordLimit::None,
            Some(bytes) => RecordLimit::Bytes(bytes),
            None if self.topic.is_read() => RecordLimit::None,
            None => RecordLimit::Unknown,
        }
    }

    fn send(&mut self, records: &[Sending<'_>], _deadline: Instant, settled: &mut Settled) {
        let Some(producer) = self.producer.upgrade() else {
            let error = SinkError::transient(format!(
                "topic {}: the producer has been replaced",
                self.topic.name
            ));
            settled.failed(records.iter().map(|one| one.token), error);
            return;
        };
        self.window.add(records.len());
        for (index, one) in records.iter().enumerate() {
            if let Some(limit) = self.limit_exceeded(one.record) {
                self.window.remove(1);
                settled.rejected(one.token, Reason::TooLarge { limit });
            } else if let Err(failure) = self.hand_over(*one, &producer) {
                // Later records of a key do not overtake it.
                let unsent = &records[index..];
                self.window.remove(unsent.len());
                let reports = unsent.iter().map(|one| Report {
                    token: one.token,
                    failure: Some(failure),
                    producer: producer.number,
                });
                self.tell(reports, settled);
                break;
            }
        }
    }

    fn settle(&mut self, settled: &mut Settled) {
        let mut reports = std::mem::take(&mut self.reports);
        self.window.take(&mut reports);
        self.tell(reports.iter().copied(), settled);
        self.reports = reports;
    }

    fn obstacle(&self, since: Instant) -> Option<SinkError> {
        let producer = self.producers.current();
        let events = producer.events();
        let refused = events.refused_since(since).map(SinkError::permanent);
        refused.or_else(|| events.connection_error(since).map(SinkError::transient))
    }
}

impl KafkaWriter {
    fn hand_over(&mut self, one: Sending<'_>, producer: &Producer) -> Result<(), RDKafkaErrorCode> {
        if is_larger(one.record, producer.batch_bytes) {
            self.alone.insert(one.token);
        }
        let number = self.window.number(one.token);
        let message = BaseRecord::with_opaque_to(&self.topic.name, number)
            .key(&*one.record.key)
            .payload(&*one.record.data)
            .headers(headers(one.record));
        let sent = producer.native.send(message);
        sent.map_err(|(error, _)| code(&error))
    }

    /// Returns the topic's limit if the record is certainly beyond it.
    fn limit_exceeded(&self, record: &Record) -> Option<usize> {
        match self.limit() {
            RecordLimit::Bytes(limit) if is_larger(record, limit) => Some(limit),
            _ => None,
        }
    }

    /// Tells the outcomes of these reports, and the first failure's reason.
    fn tell(&mut self, reports: impl Iterator<Item = Report>, settled: &mut Settled) {
        let mut failures = Failures::default();
        for report in reports {
            let is_alone = !self.alone.is_empty() && self.alone.remove(&report.token);
            let outcome = match report.failure {
                None => Outcome::Delivered,
                Some(code) if Kind::of(code) == Kind::TooLarge && is_alone => {
                    Outcome::Rejected(Reason::TooLarge {
                        limit: self.assumed_limit(),
                    })
                }
                Some(code) => failures.add(code, report.producer, &self.producers),
            };
            settled.tell(report.token, outcome);
        }
        if let Some(failure) = failures.first {
            let servers = &self.producers.config().bootstrap_servers;
            settled.fault(failure.error(servers, &self.topic.name));
        }
        if let Some(producer) = failures.too_large
            && let Err(error) = self.producers.halve_batches(producer)
        {
            settled.fault(error);
        }
    }

    /// Returns the limit to name where a broker has refused a record.
    fn assumed_limit(&self) -> usize {
        let batch_bytes = || self.producers.current().batch_bytes;
        self.topic.limit().unwrap_or_else(batch_bytes)
    }
}

/// Tells whether the record alone takes more than `bytes`. Only a large one is measured to the
/// byte.
fn is_larger(record: &Record, bytes: usize) -> bool {
    record.data.len() > bytes / 2 && batch_bytes(record) > bytes
}

/// The failures among some reports.
#[derive(Default)]
struct Failures {
    /// The first one.
    first: Option<Failure>,
    /// The number of a producer whose batch was too large, though its records were not.
    too_large: Option<u64>,
    /// The producer of the last failure, and the cause of its death.
    last: Option<(u64, Option<RDKafkaErrorCode>)>,
}

#[derive(Clone, Copy)]
struct Failure {
    cause: RDKafkaErrorCode,
    /// Whether it ended the producer.
    is_fatal: bool,
}

impl Failures {
    /// Adds one, and returns the outcome of its record.
    fn add(&mut self, code: RDKafkaErrorCode, producer: u64, producers: &Producers) -> Outcome {
        let death = match self.last {
            Some((last, death)) if last == producer => death,
            _ => producers.cause_of_death(producer),
        };
        self.last = Some((producer, death));
        if Kind::of(code) == Kind::TooLarge {
            self.too_large = Some(producer);
        }
        let failure = Failure {
            // A dead producer fails its records with a code that says nothing of the cause.
            cause: death.unwrap_or(code),
            is_fatal: death.is_some(),
        };
        self.first.get_or_insert(failure);
        if failure.is_permanent() {
            Outcome::Undeliverable
        } else {
            Outcome::Retryable
        }
    }
}

impl Failure {
    fn is_permanent(self) -> bool {
        Kind::of(self.cause).is_permanent(self.cause)
    }

    fn error(self, servers: &str, topic: &str) -> SinkError {
        let reason = explain(servers, topic, self.cause);
        if self.is_permanent() {
            SinkError::permanent(reason)
        } else if self.is_fatal {
            SinkError::transient(format!("{reason}; the producer is replaced"))
        } else {
            SinkError::transient(reason)
        }
    }
}
