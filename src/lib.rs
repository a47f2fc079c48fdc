//! An open ingestion gateway for the IEM publish service and its ITSM integration API.
//!
//! The path of a record, stage by stage; each stage knows nothing of those after it:
//!
//! ```text
//! socket ─ tls ─ http::server ─ http::service  one task a connection, on its serving thread
//!            │ route       method and path → endpoint
//!            │ identity    token → principal
//!            │ body        collected and decoded, bounded in bytes and time, counted in `memory`
//!            │ intake      record: bytes → records, their customers and ordering keys; the bytes stay as they came
//!            │             identity: principal × customers → may it?
//!            │ pipeline    into the topic's bounded queue, or refused: never a wait for room
//!            ▼
//!       pipeline::worker   one plain thread a writer: what has arrived → batch → sink
//!            ▼
//!          sinks           write the batch, mark each record's outcome
//!            ▼
//!       acknowledgement    the waiting request wakes ─ http::response
//! ```
//!
//! Data goes one way; the only thing that comes back is the outcome, and it begins as *not
//! delivered*.

mod checker;
pub mod cli;
pub mod config;
pub mod encoding;
mod gateway;
mod http;
pub mod identity;
pub mod memory;
pub mod pipeline;
pub mod record;
pub mod sinks;
mod size;
mod telemetry;
mod threads;
pub mod tls;

pub use gateway::{Gateway, RunError, StartError};
#[cfg(feature = "testing")]
pub use http::testing;
