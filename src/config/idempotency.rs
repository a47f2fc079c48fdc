//! The window in which repeats are known again: `[idempotency]`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// `[idempotency]`: requests with an idempotency key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Idempotency {
    /// The time for which a key is known.
    #[serde(deserialize_with = "units::duration")]
    pub window: Duration,
    /// The most keys; a user has a quarter of them at most.
    pub keys: usize,
}
