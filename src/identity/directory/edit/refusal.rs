//! A change to the directory that cannot be made.

/// A change that cannot be made: the reason, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
