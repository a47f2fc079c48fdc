//! A client's side of TLS, in the test's own hands: it sends what a test says, and reads only when
//! told to.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::gateway::Authority;

/// A connection over TLS.
pub struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    /// Shakes hands over this socket with a gateway whose certificate is of this authority.
    pub fn over(stream: TcpStream, authority: &Authority) -> Self {
        let mut secure = Self::begin(stream, authority);
        secure.shake_hands();
        secure
    }

    /// Sends the first message of a handshake alone.
    pub fn begin(stream: TcpStream, authority: &Authority) -> Self {
        let mut secure = Self(StreamOwned::new(session(authority), stream));
        let sent = secure.0.conn.write_tls(&mut secure.0.sock);
        sent.expect("the socket takes it");
        secure
    }

    /// Does the rest of a handshake that was begun.
    pub fn shake_hands(&mut self) {
        let StreamOwned { conn, sock } = &mut self.0;
        while conn.is_handshaking() {
            conn.complete_io(sock).expect("a handshake");
        }
    }

    /// Reads until the gateway ends the connection.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        // It may end without a word of TLS.
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends these bytes, and reads nothing.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Sets how long sending may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.0
            .sock
            .set_write_timeout(Some(patience))
            .expect("a socket takes its options");
    }
}

/// Returns the first message of a handshake.
pub fn client_hello(authority: &Authority) -> Vec<u8> {
    let mut hello = Vec::new();
    session(authority)
        .write_tls(&mut hello)
        .expect("memory takes all");
    hello
}

fn session(authority: &Authority) -> ClientConnection {
    let config = Arc::new(client_config(authority));
    ClientConnection::new(config, server_name()).expect("a session")
}

/// Returns the configuration of a client that trusts this authority alone.
pub(super) fn client_config(authority: &Authority) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate");
    roots.add(root).expect("an authority's certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    versions
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The name of every server.
pub(super) fn server_name() -> ServerName<'static> {
    ServerName::try_from("127.0.0.1").expect("an address")
}
