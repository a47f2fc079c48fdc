//! The gateway from outside: as a client, an operator or a reader of the files meets it. Every test
//! starts a gateway of its own, inside this process or as the real program, on free loopback ports
//! and in a folder of its own.

#![allow(clippy::unwrap_used)]

mod admin;
mod architecture;
mod bytes;
mod check_sinks;
mod command_line;
mod contract;
mod crash;
mod deaf;
mod drain;
mod encodings;
mod far_away;
mod figures;
mod first_start;
mod full_disk;
mod habits;
mod harness;
mod http2;
mod http2_abuse;
mod http2_smuggling;
mod idle;
mod kafka;
mod limits;
mod many;
mod metadata;
mod model;
mod overload;
mod proxies;
mod pubsub;
mod quota;
mod revocation;
mod several_sinks;
mod slow;
mod smuggling;
mod soak;
mod swap;
mod tls;
mod tls_clients;
mod token;
mod wire;
