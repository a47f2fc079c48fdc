//! Outcomes of records. Success is an explicit statement; everything else is a failure by default.

/// The outcome of a record that was sent to a [`Writer`](crate::Writer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// The record is not delivered, as far as the sink knows, and may be sent again. A record whose
    /// outcome is never told keeps this one, and is not acknowledged.
    #[default]
    Retryable,
    /// The backend has the record: it is synced or replicated, or its message id came back. Only a
    /// sink marks this.
    Delivered,
    /// The backend will never take this record, however often it is tried.
    Rejected(Reason),
    /// The record is not delivered, and an operator has to change something before it can be: it is
    /// not sent again.
    Undeliverable,
}

/// The size of the largest record that a topic takes, as far as its writer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordLimit {
    /// There may be a bound, which the sink does not know yet.
    Unknown,
    /// There is none, or none that the sink can know.
    None,
    /// The most bytes of a record.
    Bytes(usize),
}

/// The reason why a backend will never take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The record is larger than the topic's limit.
    #[error("larger than the {limit} bytes that the topic takes")]
    TooLarge {
        /// The topic's limit in bytes, as far as the sink knows it.
        limit: usize,
    },
    /// The record does not fit the schema of the topic.
    #[error("not of the topic's schema")]
    Schema,
}
