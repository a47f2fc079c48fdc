//! The TLS handshake of one connection, bounded in time, and its result.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Protocol;
use crate::tls::{ClientCertificate, LiveTls};

/// Bytes of answers that wait to be encrypted, or for the client to take them.
const SEND_BUFFER: usize = 16 * 1024;

/// A connection after its handshake.
pub struct Secured {
    /// The stream, decrypted.
    pub stream: TlsStream<TcpStream>,
    /// The protocol agreed on by ALPN; HTTP/1.1 with a client that offers none.
    pub protocol: Protocol,
    /// The client's certificate, if it has one.
    pub certificate: Option<ClientCertificate>,
}

/// Does the handshake within `time`. Offers HTTP/2 if `http2` is set.
///
/// # Errors
/// The client broke off, came too late, spoke no TLS version that is served, or has no certificate
/// that is accepted.
pub async fn accept(
    stream: TcpStream,
    tls: &LiveTls,
    http2: bool,
    time: Duration,
) -> io::Result<Secured> {
    let config = tls.config(http2);
    let acceptor = TlsAcceptor::from(Arc::clone(&config));
    let handshake = acceptor.accept_with(stream, |session| {
        session.set_buffer_limit(Some(SEND_BUFFER));
    });
    let stream = tokio::time::timeout(time, handshake).await??;
    let (_, session) = stream.get_ref();
    let protocol = if session.alpn_protocol() == Some(b"h2") {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    let chain = session.peer_certificates();
    let certificate = chain.and_then(|chain| tls.client(chain, config));
    Ok(Secured {
        stream,
        protocol,
        certificate,
    })
}
