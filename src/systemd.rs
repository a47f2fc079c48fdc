//! The service manager's side of the process: the sockets that it passes, and what it is told.
//!
//! Without a service manager, all of it does nothing.

mod notifier;
mod sockets;

pub use notifier::Notifier;
pub use sockets::listeners;
