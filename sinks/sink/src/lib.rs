//! The contract between the gateway's pipeline and the backends it delivers to.
//!
//! A [`Sink`] is one backend: it owns the connection and is shared by all topics. A [`Writer`] is
//! one worker's hold on one topic: it takes a batch of [`Record`]s and marks each one's
//! [`Outcome`]. Nothing here knows of HTTP, of queues or of retries: the pipeline decides what is
//! written again, a writer only says what became of it.
//!
//! The feature `testing` adds a scripted sink and the conformance suite that each sink crate runs
//! against itself.

mod finding;
mod murmur;
mod outcome;
mod record;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::time::{Duration, Instant};

pub use finding::{Finding, Level};
pub use outcome::{Outcome, Reason};
pub use record::{Context, DATA_CONTENT_TYPE, Record};

/// One topic as a sink sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The topic's name at the backend. Never empty, never a path: letters, digits, `.`, `_` and
    /// `-`.
    pub name: String,
    /// How many writers of this topic exist at once; records of one ordering key always reach the
    /// same one.
    pub workers: usize,
    /// The most records that one call of [`Writer::write`] is given.
    pub batch_records: usize,
    /// The most bytes of data that one call of [`Writer::write`] is given. A single request larger
    /// than this still comes as one batch.
    pub batch_bytes: usize,
    /// How long a record may take from its acceptance to its delivery.
    pub deadline: Duration,
}

/// One backend, shared by all of its topics: owns the connection.
pub trait Sink: Send + Sync {
    /// Opens `topic` for one worker. Called at start, `topic.workers` times a topic.
    ///
    /// # Errors
    /// A topic that does not exist, or may not be written, is [`SinkErrorKind::Permanent`] and
    /// names the topic; the gateway then refuses to start.
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError>;

    /// Says whether the backend could take records now. Called every few seconds from a plain
    /// thread, for readiness. Blocks at most until `deadline`.
    fn check(&self, deadline: Instant) -> Result<(), SinkError>;

    /// Figures that the sink keeps of itself, by name, for metrics: counts, bytes, seconds. Never
    /// blocks.
    fn figures(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Ends the sink. All writers have been dropped before. Blocks at most until `deadline`.
    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError>;
}

/// One worker's hold on one topic. Knows no HTTP, makes no routing decision, is used by one thread
/// at a time.
pub trait Writer: Send {
    /// Writes `records` in their order and marks what became of each: `outcomes[i]` belongs to
    /// `records[i]` and comes in as [`Outcome::Retryable`].
    ///
    /// Blocks at most until `deadline` and leaves nothing buffered behind: what is still
    /// `Retryable` on return will not be delivered later by this call, as far as the backend
    /// lets that be known. A record is never marked `Delivered` while an earlier one of the
    /// same key in the batch is left `Retryable`.
    ///
    /// # Errors
    /// Why records were left `Retryable`. It informs (logs, readiness, whether to try again before
    /// the deadline); the outcomes alone decide what is acknowledged, whatever is returned.
    fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError>;
}

/// Why a backend did not do as asked. The message is for operators: it holds no record's data and
/// no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// Whether trying again may help.
    pub kind: SinkErrorKind,
    /// What went wrong, and at what: a path, a broker, a topic.
    pub message: String,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorKind {
    /// The backend is away, slow or full: the same call may succeed later.
    Transient,
    /// Somebody has to change something first: a topic that is missing, a credential that is
    /// refused.
    Permanent,
}

impl SinkError {
    /// An error that may pass by itself.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            kind: SinkErrorKind::Transient,
            message: message.into(),
        }
    }

    /// An error that stays until somebody changes something.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            kind: SinkErrorKind::Permanent,
            message: message.into(),
        }
    }
}
