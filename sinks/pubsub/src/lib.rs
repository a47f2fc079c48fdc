//! Records as messages of Google Cloud Pub/Sub, through Google's own client.
//!
//! A record is a message in the binary mode of the `CloudEvents` Pub/Sub binding: its bytes are the
//! data, its attributes are `ce-id`, `ce-source`, … and `Content-Type`. `Delivered` means that the
//! service returned the message's id.
//!
//! A batch is one request as long as it stays within Pub/Sub's limits, else as many requests as it
//! takes, in flight together. Ordering keys are off unless a topic asks for them
//! ([`PubSubConfig::ordered_topics`]), and have a price: Pub/Sub takes one key a request, so a
//! batch becomes one request for each key in it, each key's requests go one after another, and the
//! service limits a key's throughput to 1 MB a second. Without them the service promises no order.
//!
//! Each writer owns a connection and a thread that drives it. At the deadline both are ended with
//! every request under way, so nothing is sent after a call has returned. A request that the
//! service has already read may still be carried out.

mod access;
mod client;
mod config;
mod failure;
mod message;
mod retry;
mod sink;
mod statistics;
mod topics;
mod writer;

pub use config::PubSubConfig;
pub use message::{MAX_ATTRIBUTE_BYTES, MAX_REQUEST_BYTES};
pub use sink::PubSubSink;
