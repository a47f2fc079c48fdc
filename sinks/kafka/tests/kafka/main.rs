//! The Kafka sink against real brokers, which these tests fetch and start, and against librdkafka's
//! mock cluster for errors that a real broker does not return on demand.

#![allow(clippy::unwrap_used)]

mod access;
mod cluster;
mod conformance;
mod faults;
mod load;
mod messages;
mod mock;
mod replacement;
mod rig;
mod tls;
mod topics;
