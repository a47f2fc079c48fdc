//! Behaviours of a scripted topic.

use std::sync::Arc;
use std::time::Duration;

use crate::{Outcome, Reason, Record, SinkError};

/// The behaviour of a scripted topic in a call of [`Writer::send`](crate::Writer::send).
#[derive(Clone, Default)]
pub enum Behaviour {
    /// Delivers every record.
    #[default]
    Deliver,
    /// Leaves every record retryable, with this error.
    Fail(SinkError),
    /// Leaves the records that the predicate picks retryable, with this error, and delivers the
    /// others. A predicate that picks by key stays within the contract.
    FailSome(Predicate, SinkError),
    /// Rejects the records that the predicate picks, and delivers the others.
    Reject(Predicate, Reason),
    /// Marks each record with the function's outcome, and returns this error if that leaves one
    /// retryable. A function that decides by key stays within the contract.
    Mark(Arc<dyn Fn(&Record) -> Outcome + Send + Sync>, SinkError),
    /// Delivers after this time, or when released. If the deadline comes first, leaves every record
    /// retryable.
    Delay(Duration),
    /// Waits until it is released, and then delivers. If the deadline comes first, leaves every
    /// record retryable.
    Stall,
    /// Waits until it is released, however late, and then delivers: a sink that breaks the
    /// contract.
    StallPastDeadline,
    /// Panics.
    Panic,
}

/// A predicate that picks records.
pub type Predicate = Arc<dyn Fn(&Record) -> bool + Send + Sync>;
