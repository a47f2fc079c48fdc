//! The client's address behind configured proxies.
//!
//! Only a configured proxy can name its client: by a header of the PROXY protocol at the beginning
//! of a connection, or by `X-Forwarded-For` in each request. Both are ignored from any other peer.

mod forwarded;
mod header;

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use tokio::io::AsyncRead;

use crate::config;

/// Whether `address` is in one of the networks of `proxies`.
pub(super) fn contain(proxies: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// Returns the address of the client behind a connection that `peer` has opened. Takes the header
/// of the PROXY protocol off the stream, where one is due, and not a byte more.
///
/// # Errors
/// The connection does not begin with such a header, or not within the header timeout.
pub(super) async fn client_of_connection(
    server: &config::Server,
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
) -> io::Result<SocketAddr> {
    if !server.proxy_protocol || !contain(&server.proxies, peer.ip()) {
        return Ok(peer);
    }
    let announced = tokio::time::timeout(server.header_timeout, header::read(stream)).await??;
    Ok(announced.unwrap_or(peer))
}

/// Returns the address of the client whose request came from the address `proxy`.
pub(super) fn client_of_request(proxies: &[IpNet], proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
    let lines = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(HeaderValue::as_bytes);
    forwarded::client(proxy, lines, |address| contain(proxies, address))
}
