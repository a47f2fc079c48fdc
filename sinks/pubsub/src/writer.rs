//! The writer of one topic: publishes a batch, and marks each record's outcome from its answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use google_cloud_pubsub::Error;
use google_cloud_pubsub::error::PublishError;
use iem_sink::{Outcome, Record, SinkError, SinkErrorKind, Writer};

use crate::access::Access;
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::message::message;
use crate::statistics::Statistics;
use crate::topics::explain;

/// One worker's writer of one topic.
pub(crate) struct PubSubWriter {
    access: Arc<Access>,
    statistics: Arc<Statistics>,
    topic: String,
    /// The topic's full name.
    path: String,
    ordered: bool,
    /// Created when first needed, and again after a failure that it may have caused.
    client: Option<Client>,
    /// Whether a client has been created before.
    had_client: bool,
}

impl PubSubWriter {
    pub(crate) fn new(
        access: Arc<Access>,
        statistics: Arc<Statistics>,
        topic: &str,
        ordered: bool,
    ) -> Self {
        let path = access.path(topic);
        Self {
            access,
            statistics,
            topic: topic.to_owned(),
            path,
            ordered,
            client: None,
            had_client: false,
        }
    }

    /// Sends the records of these indices, and returns each one's answer. Records that Pub/Sub
    /// would refuse are rejected instead.
    fn publish(
        &mut self,
        part: &[usize],
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<Vec<(usize, Answer)>, SinkError> {
        if self.client.is_none() {
            self.statistics.count_connection(self.had_client);
            self.had_client = true;
            self.client = Some(Client::new(&self.access, &self.statistics, deadline)?);
        }
        let Some(client) = &self.client else {
            return Ok(Vec::new());
        };
        let bytes = part.iter().map(|index| records[*index].data.len()).sum();
        let _in_flight = self.statistics.in_flight(part.len(), bytes);
        let began = Instant::now();
        let mut sent = Vec::with_capacity(part.len());
        let messages = part.iter().filter_map(|index| {
            match message(&records[*index], &self.path, self.ordered) {
                Ok(message) => {
                    sent.push(*index);
                    Some(message)
                }
                Err(reason) => {
                    outcomes[*index] = Outcome::Rejected(reason);
                    None
                }
            }
        });
        let answers = client.publish(&self.path, messages, deadline);
        self.statistics.count_publish(began.elapsed());
        Ok(sent.into_iter().zip(answers).collect())
    }

    /// Drops a client that may be at fault, and returns why records were left retryable.
    fn conclude(&mut self, failures: Failures, deadline: Instant) -> Result<(), SinkError> {
        let failure = failures.error.as_deref().map(Failure::of);
        let late = failures.unanswered || (failure.is_some() && Instant::now() >= deadline);
        let service_answered = failures
            .error
            .as_ref()
            .is_none_or(|error| error.status().is_some());
        let refused = failure == Some(Failure::Unauthenticated);
        if late || refused || !service_answered {
            self.client = None;
        }
        if refused {
            self.access.renew(Instant::now());
        }
        let permanent = failure.is_some_and(|failure| failure.kind() == SinkErrorKind::Permanent);
        match failures.error {
            Some(error) if !(permanent && failures.unanswered) => {
                Err(explain(&self.access, &self.topic, &error).into())
            }
            None if !failures.unanswered => Ok(()),
            _ => Err(SinkError::transient(format!(
                "Pub/Sub at {} did not confirm before the deadline",
                self.access.address()
            ))),
        }
    }
}

impl Writer for PubSubWriter {
    fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        // A request that is refused as invalid is sent again in halves, until each record at fault
        // is alone in a request.
        let mut failures = Failures::default();
        let mut parts: Vec<Vec<usize>> = vec![(0..records.len()).collect()];
        while let Some(mut part) = parts.pop() {
            part.retain(|index| !self.ordered || !failures.keys.contains(&*records[*index].key));
            if part.is_empty() {
                continue;
            }
            if Instant::now() >= deadline {
                failures.unanswered = true;
                break;
            }
            let answers = self.publish(&part, records, outcomes, deadline)?;
            let refused = settle(answers, records, outcomes, &mut failures);
            // In reverse: the first half is on top, and goes out first.
            parts.extend(
                refused
                    .into_iter()
                    .rev()
                    .flat_map(|refused| halves(refused, records, &mut failures)),
            );
        }
        self.conclude(failures, deadline)
    }
}

/// The failures of a call so far.
#[derive(Default)]
struct Failures<'a> {
    /// The error to return: a transient one if there is any, since it is the reason to try again.
    error: Option<Arc<Error>>,
    /// Whether a record has no answer.
    unanswered: bool,
    /// Keys with a record that was not delivered. Where keys have an order, none of their later
    /// records may be delivered.
    keys: HashSet<&'a str>,
}

impl<'a> Failures<'a> {
    fn failed(&mut self, record: &'a Record, error: Arc<Error>) {
        self.keys.insert(&record.key);
        let keeps = self
            .error
            .as_ref()
            .is_some_and(|first| Failure::of(first).kind() == SinkErrorKind::Transient);
        if !keeps {
            self.error = Some(error);
        }
    }
}

/// The records of one request that was refused as invalid, with its error.
struct Refused {
    error: Arc<Error>,
    records: Vec<usize>,
}

/// Marks delivered records, notes failed ones, and returns the requests that were refused as
/// invalid.
fn settle<'a>(
    answers: Vec<(usize, Answer)>,
    records: &'a [Record],
    outcomes: &mut [Outcome],
    failures: &mut Failures<'a>,
) -> Vec<Refused> {
    let mut refused: Vec<Refused> = Vec::new();
    for (index, answer) in answers {
        let record = &records[index];
        match answer {
            Some(Ok(())) => outcomes[index] = Outcome::Delivered,
            Some(Err(PublishError::Rpc(error)))
                if Failure::of(&error) == Failure::InvalidArgument =>
            {
                // All records of a request share its error.
                match refused
                    .iter_mut()
                    .find(|group| Arc::ptr_eq(&group.error, &error))
                {
                    Some(group) => group.records.push(index),
                    None => refused.push(Refused {
                        error,
                        records: vec![index],
                    }),
                }
            }
            Some(Err(PublishError::Rpc(error))) => failures.failed(record, error),
            // It was not sent, because an earlier request of the same key failed.
            Some(Err(PublishError::OrderingKeyPaused)) => {
                match refused
                    .iter_mut()
                    .find(|group| records[group.records[0]].key == record.key)
                {
                    Some(group) => group.records.push(index),
                    None => drop(failures.keys.insert(&record.key)),
                }
            }
            Some(Err(_)) | None => {
                failures.unanswered = true;
                failures.keys.insert(&record.key);
            }
        }
    }
    refused
}

/// Returns the second half, then the first. A single record is the one at fault.
fn halves<'a>(
    mut refused: Refused,
    records: &'a [Record],
    failures: &mut Failures<'a>,
) -> Vec<Vec<usize>> {
    if let [index] = refused.records[..] {
        failures.failed(&records[index], refused.error);
        return Vec::new();
    }
    let second = refused.records.split_off(refused.records.len() / 2);
    vec![second, refused.records]
}
