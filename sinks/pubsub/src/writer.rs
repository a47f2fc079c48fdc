//! One worker's hold on one topic: a batch goes out, each record's answer comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use google_cloud_pubsub::Error;
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message;
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
}

/// A record that is to be sent: its place in the batch, and its message.
type Pending = (usize, Message);

impl PubSubWriter {
    pub(crate) fn new(access: Arc<Access>, figures: Arc<Figures>, topic: &str, ordered: bool) -> Self {
        let path = access.path(topic);
        Self { access, figures, topic: topic.to_owned(), path, ordered, client: None }
    }

    /// The messages of the records that Pub/Sub takes; the others are rejected.
    fn messages(&self, records: &[Record], outcomes: &mut [Outcome]) -> Vec<Pending> {
        let mut pending = Vec::with_capacity(records.len());
        for (index, (record, outcome)) in records.iter().zip(outcomes).enumerate() {
            match message(record, &self.path, self.ordered) {
                Ok(message) => pending.push((index, message)),
                Err(reason) => *outcome = Outcome::Rejected(reason),
            }
        }
        pending
    }

    /// Sends all, and what was refused as invalid in halves, until each message that is at fault stands alone.
    fn send(
        &mut self,
        pending: Vec<Pending>,
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let mut trouble = Trouble::default();
        let mut parts = vec![pending];
        while let Some(mut part) = parts.pop() {
            part.retain(|(_, message)| !trouble.holds_back(message));
            if part.is_empty() {
                continue;
            }
            let answers = self.publish(&part, deadline)?;
            let refused = settle(part, answers, outcomes, &mut trouble);
            // In reverse: the first half is on top, and goes out first.
            for group in refused.into_iter().rev() {
                parts.extend(halves(group, &mut trouble));
            }
        }
        self.conclude(trouble, deadline)
    }

    fn publish(&mut self, part: &[Pending], deadline: Instant) -> Result<Vec<Answer>, SinkError> {
        if self.client.is_none() {
            self.client = Some(Client::new(&self.access, &self.figures, deadline)?);
        }
        let Some(client) = &self.client else { return Ok(Vec::new()) };
        let bytes = part.iter().map(|(_, message)| message.data.len()).sum();
        let _in_flight = self.figures.send(part.len(), bytes);
        let began = Instant::now();
        let messages = part.iter().map(|(_, message)| message.clone());
        let answers = client.publish(&self.path, messages, deadline);
        self.figures.published(began.elapsed());
        Ok(answers)
    }

    /// Drops a client that may be at fault, and says what went wrong.
    fn conclude(&mut self, trouble: Trouble, deadline: Instant) -> Result<(), SinkError> {
        let late = trouble.unanswered || (trouble.is_any() && Instant::now() >= deadline);
        let service_answered = trouble.error.as_ref().is_none_or(|error| error.status().is_some());
        let refused =
            trouble.error.as_ref().is_some_and(|error| Failure::of(error) == Failure::Unauthenticated);
        if late || refused || !service_answered {
            self.client = None;
        }
        if refused {
            self.access.renew(Instant::now());
        }
        match trouble.error {
            Some(error) => Err(explain(&self.access, &self.topic, &error).into()),
            None if trouble.is_any() => Err(SinkError::transient(format!(
                "Pub/Sub at {} did not confirm before the deadline",
                self.access.address()
            ))),
            None => Ok(()),
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
        let pending = self.messages(records, outcomes);
        if pending.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(SinkError::transient("no time left to publish"));
        }
        self.send(pending, outcomes, deadline)
    }
}

/// What went wrong so far.
#[derive(Default)]
struct Trouble {
    /// The one to tell of: a passing one if there is any, since it is the reason to try again.
    error: Option<Arc<Error>>,
    unanswered: bool,
    /// Ordering keys of which a record was not delivered: no later one may be.
    keys: HashSet<String>,
}

impl Trouble {
    fn is_any(&self) -> bool {
        self.unanswered || self.error.is_some()
    }

    fn failed(&mut self, message: &Message, error: &Arc<Error>) {
        self.hold_back(message);
        if self.error.as_ref().is_none_or(|told| kind(told) == SinkErrorKind::Permanent) {
            self.error = Some(error.clone());
        }
    }

    /// The message is not delivered, nor may a later one of its ordering key be.
    fn hold_back(&mut self, message: &Message) {
        if !message.ordering_key.is_empty() {
            self.keys.insert(message.ordering_key.clone());
        }
    }

    fn holds_back(&self, message: &Message) -> bool {
        self.keys.contains(&message.ordering_key)
    }
}

fn kind(error: &Error) -> SinkErrorKind {
    Failure::of(error).kind()
}

/// The messages of one request that was refused as invalid, and the refusal.
struct Refused {
    error: Arc<Error>,
    messages: Vec<Pending>,
}

impl Refused {
    fn is_of_key(&self, message: &Message) -> bool {
        let key = self.messages.first().map(|(_, message)| &message.ordering_key);
        key == Some(&message.ordering_key)
    }
}

/// Marks what is delivered, notes what failed, and gives back what was refused as invalid, request by request.
fn settle(
    part: Vec<Pending>,
    answers: Vec<Answer>,
    outcomes: &mut [Outcome],
    trouble: &mut Trouble,
) -> Vec<Refused> {
    let mut refused: Vec<Refused> = Vec::new();
    for ((index, message), answer) in part.into_iter().zip(answers) {
        match answer {
            Some(Ok(())) => outcomes[index] = Outcome::Delivered,
            Some(Err(PublishError::Rpc(error))) if Failure::of(&error) == Failure::InvalidArgument => {
                // All messages of a request share its error.
                match refused.iter_mut().find(|group| Arc::ptr_eq(&group.error, &error)) {
                    Some(group) => group.messages.push((index, message)),
                    None => refused.push(Refused { error, messages: vec![(index, message)] }),
                }
            }
            Some(Err(PublishError::Rpc(error))) => trouble.failed(&message, &error),
            // Behind a request of the same key that failed.
            Some(Err(PublishError::OrderingKeyPaused)) => {
                match refused.iter_mut().find(|group| group.is_of_key(&message)) {
                    Some(group) => group.messages.push((index, message)),
                    None => trouble.hold_back(&message),
                }
            }
            Some(Err(_)) | None => {
                trouble.unanswered = true;
                trouble.hold_back(&message);
            }
        }
    }
    refused
}

/// The second half, then the first. A single message is the one at fault.
fn halves(mut refused: Refused, trouble: &mut Trouble) -> Vec<Vec<Pending>> {
    if let [(_, message)] = &refused.messages[..] {
        trouble.failed(message, &refused.error);
        return Vec::new();
    }
    let second = refused.messages.split_off(refused.messages.len() / 2);
    vec![second, refused.messages]
}
