//! The gateway from outside: as a client, an operator or a reader of the files meets it. Every test
//! starts a gateway of its own, inside this process or as the real program, on free loopback ports
//! and in a folder of its own.

#![allow(clippy::unwrap_used)]

mod architecture;
mod backends;
mod delivery;
mod documents;
mod fleet;
mod http;
mod identity;
mod journal;
mod operations;
mod prove;
mod shared_directory;
