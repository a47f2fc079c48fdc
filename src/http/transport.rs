//! Connections: accepted, bounded in number, in size and in time, and ended without loss.
//!
//! Nothing here reads a path, a body or credentials. All that is known of the application is the
//! trait [`Application`]; no status and no message is written down here.

mod application;
pub mod connection;
mod connection_budget;
mod draining;
mod fair_permits;
mod peers;
mod pieces;
mod probe;
mod proxies;
mod responder;
mod server;
mod shared;
mod thread;
pub mod tls;

pub use application::{Answer, Application, Client, Reply};
pub use draining::Draining;
pub use pieces::Pieces;
pub use server::Server;
#[cfg(feature = "testing")]
pub use shared::Shared;
#[cfg(feature = "testing")]
pub use thread::Thread;
