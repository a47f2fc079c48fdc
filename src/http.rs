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

pub use admin::{Admin, Readiness, State};
pub use readers::Readers;
pub use server::{Server, ServerSettings};
pub use service::{Service, Topic};
