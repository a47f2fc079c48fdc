//! One worker's hold on one topic: sends a batch, waits for its delivery reports, and says what
//! became of each record.
//!
//! librdkafka takes no record back once it has it. A record whose report is not in by the deadline
//! therefore stays on its way, and the writer remembers it: given the same record again, it waits
//! for that report instead of sending the record twice. Only what has certainly failed is sent
//! anew, and with it all later records of its key. So a retry neither repeats nor reorders what a
//! slow broker takes after all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use iem_sink::{Outcome, Reason, Record, SinkError, Writer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::BaseRecord;
use uuid::Uuid;

use crate::failure::{Kind, code, explain};
use crate::mailbox::{Mailbox, Mailboxes, REPORT_SLACK, Report, Woken};
use crate::message::{batch_bytes, headers};
use crate::producer::{Producer, Producers};
use crate::properties::TIMEOUT_SLACK;
use crate::topic::{State, Topic};

/// The writer holds back while so many batches' records are on their way.
const BATCHES_ON_THEIR_WAY: usize = 4;

pub(crate) struct KafkaWriter {
    producers: Arc<Producers>,
    mailboxes: Arc<Mailboxes>,
    mailbox: Option<Arc<Mailbox>>,
    topic: Arc<Topic>,
    batch_records: usize,
    /// Records without a report when the last call ended, with their numbers in the mailbox.
    on_their_way: HashMap<Uuid, usize>,
    /// The number of each record of this call; none where it was not sent.
    numbers: Vec<Option<usize>>,
    /// A topic that a record has failed at is asked after before more is sent to it: while a topic
    /// is being deleted, what brokers say of its records is anything.
    suspect: bool,
}

impl KafkaWriter {
    pub(crate) fn new(
        producers: Arc<Producers>,
        mailboxes: Arc<Mailboxes>,
        topic: Arc<Topic>,
        batch_records: usize,
    ) -> Self {
        let mailbox = Some(mailboxes.open());
        Self {
            producers,
            mailboxes,
            mailbox,
            topic,
            batch_records,
            on_their_way: HashMap::new(),
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
        let Some(mailbox) = self.mailbox.clone() else {
            return Ok(());
        };
        let producer = self.producers.current();
        if self.suspect {
            State::ask(&producer, &self.topic.name, deadline)?;
            self.suspect = false;
        }
        mailbox.give_up(began.checked_sub(self.patience()).unwrap_or(began));
        let unsent = self.send(records, &mailbox, &producer, began);
        let interrupted = wait(&mailbox, &producer, began, deadline);
        let verdict = self.settle(records, outcomes, &mailbox, &producer);
        self.conclude(&verdict, outcomes, &producer, began, unsent, interrupted)
    }
}

/// What was seen while a batch was settled.
#[derive(Default)]
struct Verdict {
    pending: usize,
    failed: Option<RDKafkaErrorCode>,
    batch_too_large: bool,
}

impl KafkaWriter {
    /// Sends what is not on its way already, in order. Says how many records there was no room for.
    fn send(
        &mut self,
        records: &[Record],
        mailbox: &Arc<Mailbox>,
        producer: &Producer,
        now: Instant,
    ) -> usize {
        self.numbers.clear();
        if self.on_their_way.is_empty() && mailbox.len() == 0 {
            let first = mailbox.issue(records.len(), now);
            self.numbers.extend((first..).take(records.len()).map(Some));
            for (record, number) in records.iter().zip(first..) {
                self.send_one(record, number, mailbox, producer);
            }
            return 0;
        }
        self.send_again(records, mailbox, producer, now)
    }

    /// As [`send`](Self::send), beside records of earlier calls.
    fn send_again(
        &mut self,
        records: &[Record],
        mailbox: &Arc<Mailbox>,
        producer: &Producer,
        now: Instant,
    ) -> usize {
        let room = self
            .batch_records
            .max(records.len())
            .saturating_mul(BATCHES_ON_THEIR_WAY);
        let mut unsent = 0;
        // Their later records are sent anew as well, to stand behind them.
        let mut keys_anew: HashSet<&str> = HashSet::new();
        for record in records {
            let earlier = self
                .on_their_way
                .get(&record.id)
                .filter(|_| !keys_anew.contains(&*record.key));
            let earlier =
                earlier.filter(|number| !matches!(mailbox.resume(**number), Report::Failed(_)));
            if let Some(number) = earlier {
                self.numbers.push(Some(*number));
                continue;
            }
            keys_anew.insert(&record.key);
            if mailbox.len() >= room {
                self.numbers.push(None);
                unsent += 1;
                continue;
            }
            let number = mailbox.issue(1, now);
            self.numbers.push(Some(number));
            self.send_one(record, number, mailbox, producer);
        }
        unsent
    }

    fn send_one(&self, record: &Record, number: usize, mailbox: &Mailbox, producer: &Producer) {
        if self.is_too_large(record) {
            mailbox.report(
                number,
                Report::Failed(RDKafkaErrorCode::MessageSizeTooLarge),
            );
            return;
        }
        let message = BaseRecord::with_opaque_to(&self.topic.name, mailbox.ticket(number))
            .key(&*record.key)
            .payload(&*record.data)
            .headers(headers(record));
        if let Err((error, _)) = producer.native.send(message) {
            mailbox.report(number, Report::Failed(code(&error)));
        }
    }

    /// Whether the topic will not take the record. Only a large one is measured to the byte.
    fn is_too_large(&self, record: &Record) -> bool {
        self.topic
            .limit()
            .is_some_and(|limit| record.data.len() > limit / 2 && batch_bytes(record) > limit)
    }

    /// Marks each record's outcome, and remembers what is still on its way.
    fn settle(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        mailbox: &Mailbox,
        producer: &Producer,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        self.on_their_way.clear();
        let (numbers, on_their_way, topic) = (&self.numbers, &mut self.on_their_way, &self.topic);
        mailbox.collect(numbers, |index, report| match report {
            Report::Delivered => outcomes[index] = Outcome::Delivered,
            Report::Pending => {
                verdict.pending += 1;
                on_their_way.extend(numbers[index].map(|number| (records[index].id, number)));
            }
            Report::Failed(code) if Kind::of(code) == Kind::TooLarge => {
                let size = batch_bytes(&records[index]);
                let limit = topic.limit().unwrap_or(producer.batch_bytes);
                if size > limit.min(producer.batch_bytes) {
                    outcomes[index] = Outcome::Rejected(Reason::TooLarge { limit });
                } else {
                    verdict.batch_too_large = true;
                    verdict.failed = verdict.failed.or(Some(code));
                }
            }
            Report::Failed(code) => verdict.failed = verdict.failed.or(Some(code)),
        });
        if outcomes.contains(&Outcome::Retryable) {
            keep_order(records, outcomes);
        }
        verdict
    }

    /// Puts right what went wrong, as far as that is in our hands, and says what it was.
    fn conclude(
        &mut self,
        verdict: &Verdict,
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
        } else if verdict.batch_too_large {
            self.producers.halve_batches(producer)?;
        }
        if !outcomes.contains(&Outcome::Retryable) {
            return Ok(());
        }
        if let Some(reason) = refused {
            return Err(SinkError::permanent(reason));
        }
        // What a dead producer says of its records tells nothing; what killed it does.
        if let Some(code) = fatal.or(verdict.failed) {
            let reason = explain(&producer.bootstrap_servers, topic, code);
            self.suspect = fatal.is_none();
            if Kind::of(code).is_permanent(code) {
                return Err(SinkError::permanent(reason));
            }
            let reason = if fatal.is_some() {
                format!("{reason}; the producer is made anew")
            } else {
                reason
            };
            return Err(SinkError::transient(reason));
        }
        let open = verdict.pending + unsent;
        let reason = producer
            .events()
            .connection_trouble(began)
            .unwrap_or_else(|| "no answer".to_owned());
        Err(SinkError::transient(format!(
            "topic {topic}: {open} records not acknowledged in time: {reason}"
        )))
    }

    /// How long librdkafka may take to report on a record, with some patience.
    fn patience(&self) -> std::time::Duration {
        self.producers.config().deadline + TIMEOUT_SLACK + REPORT_SLACK
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            self.mailboxes.close(mailbox);
        }
    }
}

/// Waits until all awaited records are reported, the deadline passes or waiting is of no use. Gives
/// back why the brokers refuse the login, where that is what ended it.
fn wait(
    mailbox: &Mailbox,
    producer: &Producer,
    began: Instant,
    deadline: Instant,
) -> Option<String> {
    loop {
        match mailbox.wait(deadline) {
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

/// Takes back `Delivered` where an earlier record of the same key is left open: both are sent
/// again, in their order. A reader may then see the later one twice, and last.
fn keep_order(records: &[Record], outcomes: &mut [Outcome]) {
    let mut open: HashSet<&str> = HashSet::new();
    for (record, outcome) in records.iter().zip(outcomes) {
        match outcome {
            Outcome::Retryable => {
                open.insert(&record.key);
            }
            Outcome::Delivered if open.contains(&*record.key) => *outcome = Outcome::Retryable,
            Outcome::Delivered | Outcome::Rejected(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;

    use super::*;

    #[test]
    fn nothing_of_a_key_is_delivered_past_an_open_record() {
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
