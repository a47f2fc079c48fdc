//! The contract between the gateway's pipeline and the backends it delivers to.
//!
//! A [`Sink`] is one backend: it owns the connection, and all topics share it. A [`Writer`] belongs
//! to one worker and one topic: it takes a batch of [`Record`]s and marks each one's [`Outcome`].
//! Nothing here knows of HTTP, of channels or of retries: the pipeline decides which records are
//! written again.
//!
//! The feature `testing` adds a scripted sink and the conformance suite that each sink crate runs.

mod finding;
mod murmur;
mod outcome;
mod record;
mod statistic;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::time::{Duration, Instant};

pub use finding::{Finding, Level};
pub use outcome::{Outcome, Reason};
pub use record::{Context, DATA_CONTENT_TYPE, Record};
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
    /// The most records that one call of [`Writer::write`] is given.
    pub batch_records: usize,
    /// The most bytes of data that one call of [`Writer::write`] is given. The records of a single
    /// larger request still come as one batch.
    pub batch_bytes: usize,
    /// The time that a record may take from its acceptance to its delivery.
    pub deadline: Duration,
}

/// One backend, which owns the connection and is shared by all of its topics.
pub trait Sink: Send + Sync {
    /// Opens `topic` for one worker. Called at start, `topic.workers` times a topic.
    ///
    /// # Errors
    /// A topic that does not exist, or may not be written, is [`SinkErrorKind::Permanent`] and
    /// names the topic; the gateway then refuses to start.
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError>;

    /// Checks whether the backend could take records now. Called every few seconds from a plain
    /// thread, for readiness. Blocks at most until `deadline`.
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
pub trait Writer: Send {
    /// Writes `records` in their order and marks the outcome of each: `outcomes[i]` belongs to
    /// `records[i]` and is [`Outcome::Retryable`] before the call.
    ///
    /// Blocks at most until `deadline` and leaves nothing buffered behind: a record that is still
    /// `Retryable` on return is not delivered later by this call, as far as the backend lets the
    /// sink know. A record is never marked `Delivered` while an earlier one of the same key in the
    /// batch is left `Retryable`.
    ///
    /// # Errors
    /// The reason why records were left `Retryable`. It serves logs, readiness and the decision to
    /// try again before the deadline. The outcomes alone decide which records are acknowledged.
    fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError>;
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
}
