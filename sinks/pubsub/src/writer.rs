//! One worker's hold on one topic: a batch goes out, each record's answer comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use google_cloud_pubsub::Error;
use google_cloud_pubsub::error::PublishError;
use iem_sink::{Outcome, Record, SinkError, SinkErrorKind, Writer};

use crate::access::Access;
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::message::message;
use crate::topics::explain;

pub(crate) struct PubSubWriter {
    access: Arc<Access>,
    figures: Arc<Figures>,
    topic: String,
    /// The topic's full name.
    path: String,
    ordered: bool,
    /// Made when it is first needed, and anew after a failure that it may have caused.
    client: Option<Client>,
    /// Whether it has been made before.
    had_client: bool,
}

impl PubSubWriter {
    pub(crate) fn new(
        access: Arc<Access>,
        figures: Arc<Figures>,
        topic: &str,
        ordered: bool,
    ) -> Self {
        let path = access.path(topic);
        Self {
            access,
            figures,
            topic: topic.to_owned(),
            path,
            ordered,
            client: None,
            had_client: false,
        }
    }

    /// Sends the records of these indices, and gives back each one's answer. Those that Pub/Sub
    /// would refuse are rejected instead.
    fn publish(
        &mut self,
        part: &[usize],
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<Vec<(usize, Answer)>, SinkError> {
        if self.client.is_none() {
            self.figures.connects(self.had_client);
            self.had_client = true;
            self.client = Some(Client::new(&self.access, &self.figures, deadline)?);
        }
        let Some(client) = &self.client else {
            return Ok(Vec::new());
        };
        let bytes = part.iter().map(|index| records[*index].data.len()).sum();
        let _in_flight = self.figures.send(part.len(), bytes);
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
        self.figures.published(began.elapsed());
        Ok(sent.into_iter().zip(answers).collect())
    }

    /// Drops a client that may be at fault, and says what went wrong.
    fn conclude(&mut self, trouble: Trouble, deadline: Instant) -> Result<(), SinkError> {
        let failure = trouble.error.as_deref().map(Failure::of);
        let late = trouble.unanswered || (failure.is_some() && Instant::now() >= deadline);
        let service_answered = trouble
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
        let stays = failure.is_some_and(|failure| failure.kind() == SinkErrorKind::Permanent);
        match trouble.error {
            Some(error) if !(stays && trouble.unanswered) => {
                Err(explain(&self.access, &self.topic, &error).into())
            }
            None if !trouble.unanswered => Ok(()),
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
        // What was refused as invalid goes out again in halves, until each record that is at fault
        // stands alone.
        let mut trouble = Trouble::default();
        let mut parts: Vec<Vec<usize>> = vec![(0..records.len()).collect()];
        while let Some(mut part) = parts.pop() {
            part.retain(|index| !self.ordered || !trouble.keys.contains(&*records[*index].key));
            if part.is_empty() {
                continue;
            }
            if Instant::now() >= deadline {
                trouble.unanswered = true;
                break;
            }
            let answers = self.publish(&part, records, outcomes, deadline)?;
            let refused = settle(answers, records, outcomes, &mut trouble);
            // In reverse: the first half is on top, and goes out first.
            parts.extend(
                refused
                    .into_iter()
                    .rev()
                    .flat_map(|refused| halves(refused, records, &mut trouble)),
            );
        }
        self.conclude(trouble, deadline)
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Trouble<'a> {
    /// The one to tell of: a passing one if there is any, since it is the reason to try again.
    error: Option<Arc<Error>>,
    /// Whether a record's fate is open.
    unanswered: bool,
    /// Keys of which a record was not delivered: where keys have an order, no later record of
    /// theirs may be.
    keys: HashSet<&'a str>,
}

impl<'a> Trouble<'a> {
    fn failed(&mut self, record: &'a Record, error: Arc<Error>) {
        self.keys.insert(&record.key);
        let stays = |told: &Arc<Error>| Failure::of(told).kind() == SinkErrorKind::Permanent;
        if self.error.as_ref().is_none_or(stays) {
            self.error = Some(error);
        }
    }
}

/// The records of one request that was refused as invalid, and the refusal.
struct Refused {
    error: Arc<Error>,
    records: Vec<usize>,
}

/// Marks what is delivered, notes what failed, and gives back what was refused as invalid, request
/// by request.
fn settle<'a>(
    answers: Vec<(usize, Answer)>,
    records: &'a [Record],
    outcomes: &mut [Outcome],
    trouble: &mut Trouble<'a>,
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
            Some(Err(PublishError::Rpc(error))) => trouble.failed(record, error),
            // Not sent, behind a request of the same key that failed.
            Some(Err(PublishError::OrderingKeyPaused)) => {
                match refused
                    .iter_mut()
                    .find(|group| records[group.records[0]].key == record.key)
                {
                    Some(group) => group.records.push(index),
                    None => drop(trouble.keys.insert(&record.key)),
                }
            }
            Some(Err(_)) | None => {
                trouble.unanswered = true;
                trouble.keys.insert(&record.key);
            }
        }
    }
    refused
}

/// The second half, then the first. A single record is the one at fault.
fn halves<'a>(
    mut refused: Refused,
    records: &'a [Record],
    trouble: &mut Trouble<'a>,
) -> Vec<Vec<usize>> {
    if let [index] = refused.records[..] {
        trouble.failed(&records[index], refused.error);
        return Vec::new();
    }
    let second = refused.records.split_off(refused.records.len() / 2);
    vec![second, refused.records]
}
