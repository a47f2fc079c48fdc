//! What became of a record. Success is an explicit statement; everything else is a failure by
//! default.

/// What became of a record in a call of [`Writer::write`](crate::Writer::write).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Not delivered, as far as is known. What a sink does not mark stays this, and is not
    /// acknowledged.
    #[default]
    Retryable,
    /// The backend has it: synced, replicated, or its message id came back. Only a sink says so.
    Delivered,
    /// The backend will never take this record, however often it is tried.
    Rejected(Reason),
}

/// Why a backend will never take a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Larger than the topic's limit.
    #[error("larger than the {limit} bytes that the topic takes")]
    TooLarge {
        /// The topic's limit in bytes, as far as it is known.
        limit: usize,
    },
}
