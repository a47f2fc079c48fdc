//! The HTTP front: sockets in, answers out.
//!
//! `transport` bounds and serves connections and knows nothing of the API; `api` answers requests
//! and knows nothing of sockets.

pub mod api;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
