//! The client's address behind configured proxies.
//!
//! Only a configured proxy can name its client: by a header of the PROXY protocol at the beginning
//! of a connection, or by `X-Forwarded-For` in each request. Both are ignored from any other peer,
//! and the latter also from a client that the former has named.

mod forwarded;
mod header;

use std::io;
use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use tokio::io::AsyncRead;

use crate::config;

/// The other end of a connection, as far as it is known before the first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The address of the client, or of its proxy.
    pub(super) address: SocketAddr,
    /// The address is a proxy's, which has opened the connection and names the client at each
    /// request.
    pub(super) is_proxy: bool,
}

/// Returns whether an address is that of a configured proxy.
pub(super) fn is_proxy(server: &config::Server, peer: IpAddr) -> bool {
    contain(&server.proxies, peer)
}

/// Returns the origin of a connection that `peer` has opened. Takes the header of the PROXY
/// protocol off the stream, where one is due, and not a byte more. An address that the header
/// announces is a client's, whichever it is: nobody has checked what that client's own headers say.
///
/// # Errors
/// The connection does not begin with such a header, or not within the header timeout.
pub(super) async fn origin(
    server: &config::Server,
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
) -> io::Result<Origin> {
    let is_proxy = is_proxy(server, peer.ip());
    let announced = if is_proxy && server.proxy_protocol {
        tokio::time::timeout(server.header_timeout, header::read(stream)).await??
    } else {
        None
    };
    Ok(match announced {
        Some(address) => Origin {
            address,
            is_proxy: false,
        },
        None => Origin {
            address: peer,
            is_proxy,
        },
    })
}

/// Returns the address of the client whose request came from the address `proxy`.
pub(super) fn client_of_request(proxies: &[IpNet], proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
    let lines = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(HeaderValue::as_bytes);
    forwarded::client(proxy, lines, |address| contain(proxies, address))
}

/// Whether `address` is in one of the networks of `proxies`.
fn contain(proxies: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}
