//! Who a client is behind proxies. Only what a configured proxy says of it counts: in a header of
//! the PROXY protocol before anything else of a connection, in `X-Forwarded-For` at each request.
//! What all others say of themselves is nothing.

mod forwarded;
mod header;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ipnet::IpNet;
use tokio::io::AsyncRead;

/// The proxies whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their addresses.
    pub networks: Vec<IpNet>,
    /// Whether their connections begin with a header of the PROXY protocol.
    pub protocol: bool,
}

impl Proxies {
    /// Whether it is the address of a proxy.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The address of the client at the other end of a connection that `peer` has opened. Takes the
    /// header of the PROXY protocol off it, where one is due, and not a byte more.
    ///
    /// # Errors
    /// The connection does not begin with such a header, or not within `time`.
    pub(super) async fn client(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: SocketAddr,
        time: Duration,
    ) -> io::Result<SocketAddr> {
        if !self.protocol || !self.contains(peer.ip()) {
            return Ok(peer);
        }
        let announced = tokio::time::timeout(time, header::read(stream)).await??;
        Ok(announced.unwrap_or(peer))
    }

    /// The address of the client whose request has come from `proxy`.
    pub(super) fn forwarded(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(HeaderValue::as_bytes);
        forwarded::client(proxy, lines, |address| self.contains(address))
    }
}
