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
//! A call goes on until the latest deadline of its records, and several may be under way at once.
//! Each connection has a thread that drives it. A writer uses one connection, and makes a new one
//! when the service answers, but not over the one in use: calls under way go on there, at most
//! until their deadline. A record may be stored until then, although its request has been answered.
//!
//! A topic's schema refuses all records of a request for one of them. Such a request is sent again
//! in parts, and the sources of refused records are remembered: their records go apart from those
//! of others for a while.

mod access;
mod client;
mod config;
mod connections;
mod delivery;
mod failure;
mod inbox;
mod keys;
mod message;
mod reader;
mod request;
mod retry;
mod runtime;
mod sink;
mod statistics;
mod suspects;
mod topics;
mod writer;

pub use config::PubSubConfig;
pub use message::{MAX_ATTRIBUTE_BYTES, MAX_REQUEST_BYTES};
pub use reader::PubSubReader;
pub use sink::PubSubSink;
