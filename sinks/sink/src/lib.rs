//! The contract between the gateway's pipeline and the backends it delivers to.
//!
//! A [`Sink`] is one backend: it owns the connection, and all topics share it. A [`Writer`] belongs
//! to one worker and one topic: it is handed [`Record`]s, each under a [`DeliveryToken`], and tells
//! the [`Outcome`] of each token once, in its own time. Nothing here knows of HTTP, of channels or
//! of retries: the pipeline decides which records are sent again, and when.
//!
//! The feature `testing` adds a scripted sink and the conformance suite that each sink crate runs.

mod finding;
mod murmur;
mod outcome;
mod reader;
mod record;
mod settled;
mod statistic;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::task::Waker;
use std::time::{Duration, Instant};

pub use finding::{Finding, Level};
pub use outcome::{Outcome, Reason, RecordLimit};
pub use reader::{Found, Reached, Reader};
pub use record::{Context, DATA_CONTENT_TYPE, Digests, Record};
pub use settled::{DeliveryToken, Sending, Settled};
pub use statistic::{Statistic, StatisticKind};

/// One topic as a sink sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The topic's name at the backend. Never empty, never a path: letters, digits, `.`, `_` and
    /// `-`.
    pub name: String,
    /// The number of writers of this topic at once. Records of one ordering key always reach the
    /// same writer.
    pub workers: usize,
    /// The most records that one call of [`Writer::send`] is given.
    pub batch_records: usize,
    /// The most bytes of data that one call of [`Writer::send`] is given. A single larger record
    /// still comes, alone.
    pub batch_bytes: usize,
    /// The time that a record may take from its acceptance to its delivery.
    pub deadline: Duration,
    /// Records have no deadline: they come from a journal. The sink tries until it has delivered or
    /// rejected a record, because one that it gives up would be overtaken by later ones of its key.
    pub is_persistent: bool,
}

/// One backend, which owns the connection and is shared by all of its topics.
pub trait Sink: Send + Sync {
    /// Opens `topic` for one worker. Called at start, `topic.workers` times a topic, and again by a
    /// worker whose writer could not be opened or has panicked. The writer wakes `waker` when it has
    /// outcomes to [`settle`](Writer::settle).
    ///
    /// # Errors
    /// A topic that does not exist, or may not be written, is [`SinkErrorKind::Permanent`] and
    /// names the topic; the gateway then refuses to start. A backend that is away is
    /// [`SinkErrorKind::Transient`], and the worker tries again.
    fn writer(&self, topic: &TopicConfig, waker: Waker) -> Result<Box<dyn Writer>, SinkError>;

    /// Returns the bytes of a record as [`Writer::limit`] counts them. Needs no backend: it is also
    /// called while the backend is away. Never blocks.
    fn record_bytes(&self, topic: &TopicConfig, record: &Record) -> usize {
        let _ = topic;
        record.data.len()
    }

    /// Checks whether the backend could take records now. Called every few seconds from a plain
    /// thread, for readiness. A sink whose [limits](Writer::limit) change at the backend reads them
    /// again here, twice a minute or more often. Blocks at most until `deadline`.
    ///
    /// # Errors
    /// The reason why it could not.
    fn check(&self, deadline: Instant) -> Result<(), SinkError>;

    /// Returns the numbers that the sink keeps of its own work, for metrics. Never blocks.
    fn statistics(&self) -> Vec<Statistic> {
        Vec::new()
    }

    /// Closes the sink, after all writers have been dropped. Blocks at most until `deadline`.
    ///
    /// # Errors
    /// The sink did not close in order.
    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError>;
}

/// One worker's writer of one topic. It knows nothing of HTTP, makes no routing decision, and is
/// used by one thread at a time.
///
/// A record that is sent is *in flight* until its outcome is told. The outcome may come long after
/// the deadline of the record: nobody waits for it any more then, but only then does the pipeline
/// know that the sink holds the record no longer.
pub trait Writer: Send {
    /// Returns the unit of the backend that the record goes to: a partition, say. Records of one
    /// ordering key go to one unit. A unit that does not settle its records holds up no other one.
    /// Units are counted from 0, and there are few: thousands at most.
    fn unit(&self, record: &Record) -> usize {
        let _ = record;
        0
    }

    /// Returns how many units the topic has.
    fn units(&self) -> usize {
        1
    }

    /// Returns whether the backend keeps records of one key in the order in which they are sent. If
    /// it does, the pipeline sends a failed record again only after what is in flight in its unit
    /// has settled, and never after a later record of its key has been delivered.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Returns the time that a record must have left until its deadline to be sent. A backend that
    /// cannot take a record back asks for enough of it, so that a record is not stored long after
    /// its request was answered 503.
    fn time_needed(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns the number of the current epoch. Records that are sent in one epoch reach the backend
    /// in order; those of a new one may overtake those of the last. A unit therefore gets no record
    /// of a new epoch while it has records in flight.
    fn epoch(&mut self) -> u64 {
        0
    }

    /// Returns the most bytes that a record may have, as [`Sink::record_bytes`] counts them: the
    /// topic takes none that is larger, and [`send`](Self::send) rejects it. The value may change
    /// while the writer is open. Never blocks.
    fn limit(&self) -> RecordLimit {
        RecordLimit::None
    }

    /// Sends records, in their order. `deadline` is the latest of their deadlines.
    ///
    /// A sink whose backend answers at once, like a disk, writes before it returns and tells the
    /// outcomes in `settled`; it blocks at most until `deadline`, as far as that is in its hand. Any
    /// other only begins, and tells the outcomes in [`settle`](Self::settle).
    fn send(&mut self, records: &[Sending<'_>], deadline: Instant, settled: &mut Settled);

    /// Tells the outcomes that have come since the last call. Never blocks.
    fn settle(&mut self, settled: &mut Settled) {
        let _ = settled;
    }

    /// Returns why records that were sent at `since` or later are still in flight, if the sink
    /// knows. It serves logs and readiness.
    fn obstacle(&self, since: Instant) -> Option<SinkError> {
        let _ = since;
        None
    }
}

/// The error of a backend. The message is for operators: it holds no record's data and no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// Whether trying again may help.
    pub kind: SinkErrorKind,
    /// The fault, and the path, broker or topic that has it.
    pub message: String,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorKind {
    /// The backend is away, slow or full. The same call may succeed later.
    Transient,
    /// An operator has to change something first: a topic is missing, a credential is refused.
    Permanent,
}

impl SinkError {
    /// Creates an error that may end without an operator.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            kind: SinkErrorKind::Transient,
            message: message.into(),
        }
    }

    /// Creates an error that stays until an operator changes something.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            kind: SinkErrorKind::Permanent,
            message: message.into(),
        }
    }

    /// Returns the outcome of a record that this error keeps from being delivered.
    pub fn outcome(&self) -> Outcome {
        match self.kind {
            SinkErrorKind::Transient => Outcome::Retryable,
            SinkErrorKind::Permanent => Outcome::Undeliverable,
        }
    }
}
