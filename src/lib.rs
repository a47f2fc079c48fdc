//! An open ingestion gateway for the IEM publish service and its ITSM integration API.
//!
//! # The path of a record
//!
//! Data goes one way. The only thing that comes back is the outcome, and it begins as *not
//! delivered*. Each stage knows nothing of the stages after it.
//!
//! ```text
//!  socket ─ tls ─ http::transport     one task a connection, on its serving thread
//!            │
//!        http::api                    one file an endpoint; `service` dispatches
//!            │  route                 method and path to endpoint
//!            │  credentials           `identity`: token, password or certificate to user
//!            │  body                  collected and decoded; bytes counted in `memory`
//!            │  ingest                `record`: bytes to records, their customers and keys
//!            │                        `identity`: may the user send for these customers?
//!            │  delivery              `identity`: quotas; `pipeline`: into the topic's channel,
//!            │                        or rejected, never a wait for space
//!            ▼
//!        pipeline::worker             one plain thread a writer: records to batches
//!            ▼
//!         sinks                       writes the batch, marks the outcome of each record
//!            ▼
//!       acknowledgement               the waiting request wakes ─ http::api::response
//! ```
//!
//! # The modules
//!
//! - `http`: connections (`transport`) and the public API (`api`).
//! - `admin`: the listener for probes and metrics.
//! - `gateway`: opens all parts in order, runs them, and drains them.
//! - [`identity`]: users, credentials, tokens, rights and quotas.
//! - `idempotency`: the ids and the outcomes of requests that may be repeated.
//! - [`record`]: bodies to records, customers and ordering keys.
//! - [`pipeline`]: from an accepted record to its outcome.
//! - [`sinks`]: the configuration to backends. `checker` asks these whether they can be reached.
//! - `replay`: records of files to a sink, for a command and for the console.
//! - `client`: a client of HTTP/1.1, for `prove`, `identity` and commands.
//! - `prove`: load on a running gateway, and the proof that no acknowledged record is lost.
//! - [`config`], [`cli`], [`tls`], `telemetry`: the configuration, the commands, certificates, and
//!   logs and metrics.
//! - `follow`, `background`: files that are followed while they change, and background threads.
//! - [`encoding`], [`memory`], `size`, `threads`: decoders of bodies, the budget for bodies, sizes
//!   as text, the end of threads.
//!
//! Nothing imports `http` but `admin` and `gateway`, and no module imports `gateway` but `cli`.

mod admin;
mod background;
mod checker;
pub mod cli;
mod client;
pub mod config;
pub mod encoding;
mod follow;
mod gateway;
mod http;
mod idempotency;
pub mod identity;
pub mod memory;
pub mod pipeline;
mod prove;
pub mod record;
mod replay;
pub mod shares;
pub mod sinks;
mod size;
mod systemd;
mod telemetry;
mod threads;
pub mod tls;

pub use gateway::{Gateway, RunError, StartError};
#[cfg(feature = "testing")]
pub use http::testing;
