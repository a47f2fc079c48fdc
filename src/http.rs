//! The front: sockets in, answers out. hyper, statuses and messages appear nowhere else.

mod admin;
mod body;
mod connection;
mod response;
mod route;
mod server;
mod service;

pub use admin::{Admin, Readiness, State};
pub use server::{Server, ServerSettings};
pub use service::{Service, Topic};
