//! The front: sockets in, answers out. hyper, statuses and messages appear nowhere else.

mod admin;
mod body;
mod bounds;
mod connection;
mod draining;
mod head;
mod intake;
mod peers;
mod proxies;
mod readers;
mod response;
mod route;
mod server;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use admin::{Admin, Readiness, State};
pub use bounds::HeadLimits;
pub use connection::Http2Limits;
pub use proxies::Proxies;
pub use readers::Readers;
pub use server::{Http2Settings, Server, ServerSettings};
pub use service::{Service, Topic};
