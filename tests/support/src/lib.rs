//! Test support for integration tests, the model, the soak, benches and fuzz targets. It makes no
//! statement about the gateway; the tests do.
//!
//! Without a feature it has frames of HTTP/2, answers, requests, the cases of the contract and a
//! sink in memory. The feature `brokers` adds real backends, and `gateway` adds running gateways,
//! their clients and readers of what arrived.

// Tests chain these calls, and a dropped builder shows at once.
#![allow(clippy::return_self_not_must_use)]

mod answer;
#[cfg(feature = "gateway")]
mod arrived;
#[cfg(feature = "brokers")]
pub mod brokers;
mod case;
#[cfg(feature = "gateway")]
mod client;
pub mod directory;
mod encoding;
mod eventually;
mod examples;
mod find;
pub mod frames;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "brokers")]
mod jars;
pub mod memory_sink;
mod placeholders;
mod request;
mod tokens;
mod topics;

pub use answer::Answer;
#[cfg(feature = "gateway")]
pub use arrived::{Arrived, Line, for_each_line, read_kafka, read_lines, read_pubsub, test_ids};
pub use case::{After, Case};
#[cfg(feature = "gateway")]
pub use client::{
    Balancer, Call, Calls, Connection, Curl, FlowFile, Frames, Http2, Kind, Ledger, Load, Nifi,
    OkHttp, OpenLoop, Prometheus, Protocol, Secure, SecureClient, check_metrics, client_hello,
    narrow, promtool, proxy_header, proxy_header_local, start_proxy,
};
pub use directory::email;
pub use encoding::encoded;
pub use eventually::{AMPLE, eventually};
pub use examples::example;
pub use find::find;
#[cfg(feature = "gateway")]
pub use gateway::{Authority, Gateway, Home, Identity, SmallDisk, issued_tokens, program};
pub use placeholders::placeholder;
pub use request::{Request, basic, get, post};
pub use tokens::forged;
pub use topics::TOPICS;
