//! A client of the soak, over plain HTTP/1.1 or TLS. It says what came, and never fails the test by
//! itself.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, IpAddr, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// Longer than any deadline of the soak's gateways.
const PATIENCE: Duration = Duration::from_secs(15);

/// An address of a gateway, with the way to connect to it.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

trait Wire: Read + Write + Send {}
impl<W: Read + Write + Send> Wire for W {}

pub(super) struct Client {
    wire: Box<dyn Wire>,
    socket: TcpStream,
    unread: Vec<u8>,
}

/// An answer, as far as the soak looks at it.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) closes: bool,
}

impl Reply {
    pub(super) fn says(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(words)
    }
}

/// Trusts this authority, and asks for these protocols.
pub(super) fn trusting(authority: &str, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("a certificate in PEM");
    roots.add(root).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// As which the gateways' certificates stand.
pub(super) fn name() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)))
}

impl Door {
    pub(super) fn open(&self) -> io::Result<Client> {
        self.open_from(Ipv4Addr::LOCALHOST)
    }

    /// As a peer of this address, one of 127.0.0.0/8.
    pub(super) fn open_from(&self, peer: Ipv4Addr) -> io::Result<Client> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if peer != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((peer, 0)).into())?;
        }
        socket.connect(&self.address.into())?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let handle = socket.try_clone()?;
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(handle),
            Some(config) => {
                let connection =
                    ClientConnection::new(Arc::clone(config), name()).map_err(io::Error::other)?;
                Box::new(StreamOwned::new(connection, handle))
            }
        };
        Ok(Client {
            wire,
            socket,
            unread: Vec::new(),
        })
    }

    /// A connection on which nothing has been said, not even a handshake.
    pub(super) fn open_silently(&self) -> io::Result<Client> {
        Self {
            address: self.address,
            tls: None,
        }
        .open()
    }
}

impl Client {
    /// Sends a request and reads its answer; none where the connection ended first.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Option<Reply> {
        // What is refused early is answered before all of it has been sent.
        let _ = self.send(request);
        self.reply()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes).and_then(|()| self.wire.flush())
    }

    pub(super) fn reply(&mut self) -> Option<Reply> {
        let end = self.fill_until(|unread| unread.windows(4).position(|at| at == b"\r\n\r\n"))?;
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let length = header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(0);
        self.fill_until(|unread| (unread.len() >= length).then_some(0))?;
        let body = self.unread.drain(..length).collect();
        Some(Reply {
            status,
            body,
            closes,
        })
    }

    fn fill_until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(at) = found(&self.unread) {
                return Some(at);
            }
            match self.wire.read(&mut chunk) {
                Ok(length @ 1..) => self.unread.extend_from_slice(&chunk[..length]),
                _ => return None,
            }
        }
    }

    /// Whether the gateway has ended the connection; waits for no more than a moment.
    pub(super) fn has_ended(&mut self) -> bool {
        let _ = self
            .socket
            .set_read_timeout(Some(Duration::from_millis(10)));
        let ended = match self.wire.read(&mut [0; 1]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        };
        let _ = self.socket.set_read_timeout(Some(PATIENCE));
        ended
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self) {
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}
