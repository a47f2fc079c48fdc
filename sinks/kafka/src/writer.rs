//! The writer of one topic: sends a batch, waits for its delivery reports, and marks each record's
//! outcome.
//!
//! librdkafka returns no record once it has it. A record without a report at the deadline therefore
//! stays in flight, and the writer remembers it: given the same record again, it waits for that
//! report instead of sending the record twice. Only a record that has certainly failed is sent
//! again, and with it all later records of its key. So a retry neither repeats nor reorders records
//! that a slow broker stores late.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::{Outcome, Reason, Record, SinkError, Writer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::BaseRecord;
use uuid::Uuid;

use crate::failure::{Kind, code, explain};
use crate::in_flight::{InFlight, REPORT_SLACK, Report, Window, Woken};
use crate::message::{batch_bytes, headers};
use crate::producer::{Producer, Producers};
use crate::properties::TIMEOUT_SLACK;
use crate::topic::{State, Topic};

/// The most records in flight, in batches. Beyond it the writer sends no more.
const BATCHES_IN_FLIGHT: usize = 4;

/// One worker's writer of one topic.
pub(crate) struct KafkaWriter {
    producers: Arc<Producers>,
    in_flight: Arc<InFlight>,
    /// `None` only while it is dropped.
    window: Option<Arc<Window>>,
    topic: Arc<Topic>,
    batch_records: usize,
    /// Records without a report when the last call ended, with their numbers in the window.
    pending: HashMap<Uuid, usize>,
    /// The number of each record of this call; `None` if it was not sent.
    numbers: Vec<Option<usize>>,
    /// Whether a record has failed. The cluster is then asked for the topic before more is sent:
    /// while a topic is being deleted, brokers answer its records with any error.
    suspect: bool,
}

impl KafkaWriter {
    pub(crate) fn new(
        producers: Arc<Producers>,
        in_flight: Arc<InFlight>,
        topic: Arc<Topic>,
        batch_records: usize,
    ) -> Self {
        let window = Some(in_flight.open());
        Self {
            producers,
            in_flight,
            window,
            topic,
            batch_records,
            pending: HashMap::new(),
            numbers: Vec::new(),
            suspect: false,
        }
    }
}

impl Writer for KafkaWriter {
    fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let began = Instant::now();
        if records.is_empty() {
            return Ok(());
        }
        if began >= deadline {
            return Err(SinkError::transient(
                "the deadline had passed before the batch was sent",
            ));
        }
        let Some(window) = self.window.clone() else {
            return Ok(());
        };
        let producer = self.producers.current();
        if self.suspect {
            State::ask(&producer, &self.topic.name, deadline)?;
            self.suspect = false;
        }
        window.give_up(began.checked_sub(self.report_timeout()).unwrap_or(began));
        let unsent = self.send(records, &window, &producer, began);
        let refused = wait(&window, &producer, began, deadline);
        let reports = self.settle(records, outcomes, &window, &producer);
        self.conclude(&reports, outcomes, &producer, began, unsent, refused)
    }
}

/// The reports of a batch, summed up.
#[derive(Default)]
struct Reports {
    pending: usize,
    /// The first failure that is not a record's own.
    failed: Option<RDKafkaErrorCode>,
    /// Whether a batch was too large whose records were not.
    batch_too_large: bool,
}

impl KafkaWriter {
    /// Sends the records that are not in flight already, in order. Returns how many were not sent
    /// because too many are in flight.
    fn send(
        &mut self,
        records: &[Record],
        window: &Window,
        producer: &Producer,
        now: Instant,
    ) -> usize {
        self.numbers.clear();
        if self.pending.is_empty() && window.len() == 0 {
            let first = window.add(records.len(), now);
            self.numbers.extend((first..).take(records.len()).map(Some));
            for (record, number) in records.iter().zip(first..) {
                self.send_one(record, number, window, producer);
            }
            return 0;
        }
        self.send_again(records, window, producer, now)
    }

    /// Does as [`send`](Self::send), beside records of earlier calls.
    fn send_again(
        &mut self,
        records: &[Record],
        window: &Window,
        producer: &Producer,
        now: Instant,
    ) -> usize {
        let in_flight_max = self
            .batch_records
            .max(records.len())
            .saturating_mul(BATCHES_IN_FLIGHT);
        let mut unsent = 0;
        // Keys with a record that is sent again: their later records follow it.
        let mut keys_sent: HashSet<&str> = HashSet::new();
        for record in records {
            let in_flight = self
                .pending
                .get(&record.id)
                .copied()
                .filter(|_| !keys_sent.contains(&*record.key))
                .filter(|number| !matches!(window.resume(*number), Report::Failed(_)));
            if in_flight.is_some() {
                self.numbers.push(in_flight);
                continue;
            }
            keys_sent.insert(&record.key);
            if window.len() >= in_flight_max {
                self.numbers.push(None);
                unsent += 1;
                continue;
            }
            let number = window.add(1, now);
            self.numbers.push(Some(number));
            self.send_one(record, number, window, producer);
        }
        unsent
    }

    fn send_one(&self, record: &Record, number: usize, window: &Window, producer: &Producer) {
        if self.is_too_large(record) {
            let too_large = Report::Failed(RDKafkaErrorCode::MessageSizeTooLarge);
            window.report(number, too_large);
            return;
        }
        let message = BaseRecord::with_opaque_to(&self.topic.name, window.token(number))
            .key(&*record.key)
            .payload(&*record.data)
            .headers(headers(record));
        if let Err((error, _)) = producer.native.send(message) {
            window.report(number, Report::Failed(code(&error)));
        }
    }

    /// Tells whether the record is beyond the topic's limit. Only a large one is measured to the
    /// byte.
    fn is_too_large(&self, record: &Record) -> bool {
        self.topic
            .limit()
            .is_some_and(|limit| record.data.len() > limit / 2 && batch_bytes(record) > limit)
    }

    /// Marks each record's outcome, and remembers the records that are still in flight.
    fn settle(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        window: &Window,
        producer: &Producer,
    ) -> Reports {
        let mut reports = Reports::default();
        self.pending.clear();
        let numbers = &self.numbers;
        let pending = &mut self.pending;
        let topic = &self.topic;
        window.collect(numbers, |index, report| match report {
            Report::Delivered => outcomes[index] = Outcome::Delivered,
            Report::Pending => {
                reports.pending += 1;
                pending.extend(numbers[index].map(|number| (records[index].id, number)));
            }
            Report::Failed(code) if Kind::of(code) == Kind::TooLarge => {
                let size = batch_bytes(&records[index]);
                let limit = topic.limit().unwrap_or(producer.batch_bytes);
                if size > limit.min(producer.batch_bytes) {
                    outcomes[index] = Outcome::Rejected(Reason::TooLarge { limit });
                } else {
                    reports.batch_too_large = true;
                    reports.failed = reports.failed.or(Some(code));
                }
            }
            Report::Failed(code) => reports.failed = reports.failed.or(Some(code)),
        });
        if outcomes.contains(&Outcome::Retryable) {
            keep_order(records, outcomes);
        }
        reports
    }

    /// Replaces a producer that failed, and returns why records were left retryable.
    fn conclude(
        &mut self,
        reports: &Reports,
        outcomes: &[Outcome],
        producer: &Arc<Producer>,
        began: Instant,
        unsent: usize,
        refused: Option<String>,
    ) -> Result<(), SinkError> {
        let topic = &self.topic.name;
        let fatal = producer.fatal();
        if fatal.is_some() {
            self.producers.revive(producer)?;
        } else if reports.batch_too_large {
            self.producers.halve_batches(producer)?;
        }
        if !outcomes.contains(&Outcome::Retryable) {
            return Ok(());
        }
        if let Some(reason) = refused {
            return Err(SinkError::permanent(reason));
        }
        // A dead producer fails its records with a code that says nothing of the cause.
        if let Some(code) = fatal.or(reports.failed) {
            let reason = explain(&producer.bootstrap_servers, topic, code);
            self.suspect = fatal.is_none();
            if Kind::of(code).is_permanent(code) {
                return Err(SinkError::permanent(reason));
            }
            let reason = if fatal.is_some() {
                format!("{reason}; the producer is replaced")
            } else {
                reason
            };
            return Err(SinkError::transient(reason));
        }
        let open = reports.pending + unsent;
        let reason = producer
            .events()
            .connection_error(began)
            .unwrap_or_else(|| "no answer".to_owned());
        Err(SinkError::transient(format!(
            "topic {topic}: {open} records not acknowledged in time: {reason}"
        )))
    }

    /// Returns the time after which a record without a report is given up.
    fn report_timeout(&self) -> Duration {
        self.producers.config().deadline + TIMEOUT_SLACK + REPORT_SLACK
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        if let Some(window) = self.window.take() {
            self.in_flight.close(window);
        }
    }
}

/// Waits until all awaited records are reported, the deadline passes or no report can come any
/// more. Returns why the brokers refuse the login, if that ended the wait.
fn wait(window: &Window, producer: &Producer, began: Instant, deadline: Instant) -> Option<String> {
    loop {
        match window.wait(deadline) {
            Woken::AllReported | Woken::DeadlinePassed => return None,
            Woken::Interrupted if producer.fatal().is_some() => return None,
            Woken::Interrupted => {
                let refused = producer.events().refused_since(began);
                if refused.is_some() {
                    return refused;
                }
            }
        }
    }
}

/// Takes `Delivered` back where an earlier record of the same key is retryable: both are sent
/// again, in their order. A reader may then see the later one twice, and last.
fn keep_order(records: &[Record], outcomes: &mut [Outcome]) {
    let mut retryable: HashSet<&str> = HashSet::new();
    for (record, outcome) in records.iter().zip(outcomes) {
        match outcome {
            Outcome::Retryable => {
                retryable.insert(&record.key);
            }
            Outcome::Delivered if retryable.contains(&*record.key) => *outcome = Outcome::Retryable,
            Outcome::Delivered | Outcome::Rejected(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;

    use super::*;

    #[test]
    fn no_record_is_delivered_past_a_retryable_one_of_its_key() {
        let records = ["a", "b", "a", "a", "b"].map(|key| record(key, "{}"));
        let too_large = Outcome::Rejected(Reason::TooLarge { limit: 1 });
        let mut outcomes = [
            Outcome::Retryable,
            Outcome::Delivered,
            Outcome::Delivered,
            too_large,
            Outcome::Delivered,
        ];
        keep_order(&records, &mut outcomes);
        assert_eq!(
            outcomes,
            [
                Outcome::Retryable,
                Outcome::Delivered,
                Outcome::Retryable,
                too_large,
                Outcome::Delivered
            ]
        );
    }
}
