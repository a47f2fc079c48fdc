//! Listening sockets that the service manager passes, by the protocol of `sd_listen_fds(3)`.

use std::env;
use std::io;

use listenfd::ListenFd;

use crate::gateway::Listeners;

/// The name of the socket for probes and metrics. Every other name is the service's.
const ADMIN: &str = "admin";

/// The reason why sockets that were passed are not taken.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A descriptor is no socket for TCP.
    #[error("LISTEN_FDS: socket {index} ({name}): {error}")]
    NotTcp {
        /// Its place, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// The reason.
        error: io::Error,
    },
    /// There are two for one listener.
    #[error(
        "LISTEN_FDS: socket {index} ({name}) is one too many: one socket named {ADMIN} is taken \
         for probes and metrics, and one of any other name for clients"
    )]
    Surplus {
        /// Its place, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
}

/// Takes the sockets that the environment names. To be called before the process has a second
/// thread: it changes the environment.
///
/// # Errors
/// There is one that the gateway has no use for.
pub fn listeners() -> Result<Listeners, SocketError> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut listeners = Listeners::default();
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let listener = match passed.take_tcp_listener(index) {
            Ok(listener) => listener,
            Err(error) => return Err(SocketError::NotTcp { index, name, error }),
        };
        let place = if name == ADMIN {
            &mut listeners.admin
        } else {
            &mut listeners.service
        };
        if place.is_some() {
            return Err(SocketError::Surplus { index, name });
        }
        *place = listener;
    }
    Ok(listeners)
}
