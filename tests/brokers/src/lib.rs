//! Real backends for tests and benches: fetched, started and ended by the tests themselves.
//!
//! A cargo feature each, both on by default: whoever tests one sink need not build the other's client.

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "pubsub")]
pub mod pubsub;
