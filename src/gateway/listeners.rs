//! The gateway's two listeners: opened at their configured addresses, or passed open.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use super::StartError;
use crate::config::Config;

/// Connections that may wait to be accepted. The kernel drops the first packet of further ones, and
/// their clients try again after a second. `net.core.somaxconn` is the kernel's own bound.
const BACKLOG: i32 = 4096;

/// Sockets that listen already. The gateway opens those that are missing.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The listener for clients.
    pub service: Option<TcpListener>,
    /// The listener for probes and metrics.
    pub admin: Option<TcpListener>,
}

impl Listeners {
    /// Returns both listeners: of the service, and of probes and metrics.
    pub(super) fn open(self, config: &Config) -> Result<(TcpListener, TcpListener), StartError> {
        let service = match self.service {
            Some(listener) => listener,
            None => listen("server.listen", config.server.listen)?,
        };
        let admin = match self.admin {
            Some(listener) => listener,
            None => listen("admin.listen", config.admin.listen)?,
        };
        Ok((service, admin))
    }
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| StartError::Listen {
        key,
        address,
        error,
    })
}

/// Binds a listener as [`TcpListener::bind`] does, with a longer backlog.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart does not wait until the last connections' time is over (RFC 9293, 2 x MSL).
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn connections_that_come_at_once_are_not_turned_away() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let waiting: Vec<_> = (0..512)
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(900)))
            .collect::<Result<_, _>>()
            .expect("nobody has to try again");
        assert_eq!(waiting.len(), 512);
    }
}
