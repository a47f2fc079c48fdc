//! The front: sockets in, answers out. hyper, statuses and messages appear nowhere else.

mod admin;
mod body;
mod connection;
mod intake;
mod readers;
mod response;
mod route;
mod server;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use admin::{Admin, Readiness, State};
pub use connection::Http2Limits;
pub use readers::Readers;
pub use server::{Http2Settings, Server, ServerSettings};
pub use service::{Service, Topic};
