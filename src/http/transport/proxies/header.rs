//! The header of the PROXY protocol, version 2 (HAProxy's `proxy-protocol.txt`, section 2.2), which
//! comes before a connection's first byte.
//!
//! Version 1, in text, is not taken. Fields beside the addresses (TLVs) are never read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION: u8 = 2;
/// The most bytes of the addresses and TLVs. Balancers put identifiers into TLVs, or a client's
/// certificate at most.
const REST_MAX: usize = 4096;

/// A fault of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Malformed {
    #[error("no header of the PROXY protocol, version 2")]
    Signature,
    #[error("a version, command, family or transport that the PROXY protocol has not")]
    Unknown,
    #[error("a header of the PROXY protocol larger than {REST_MAX} bytes")]
    TooLarge,
    #[error("a header of the PROXY protocol too short for its addresses")]
    TooShort,
}

/// The header's part of fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fixed {
    addresses: Addresses,
    /// Bytes that come behind it.
    rest: usize,
}

/// The kind of addresses that the rest begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addresses {
    /// None that tell the client: the proxy speaks for itself, or of another protocol than TCP.
    None,
    V4,
    V6,
}

/// Takes the header off the stream, and nothing else. Returns the client's address, if the header
/// has one.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let bad = |malformed| io::Error::new(io::ErrorKind::InvalidData, malformed);
    let mut fixed = [0; 16];
    stream.read_exact(&mut fixed).await?;
    let fixed = Fixed::parse(fixed).map_err(bad)?;
    let mut rest = vec![0; fixed.rest];
    stream.read_exact(&mut rest).await?;
    fixed.addresses.source(&rest).map_err(bad)
}

impl Fixed {
    fn parse(bytes: [u8; 16]) -> Result<Self, Malformed> {
        let [signature @ .., version, family, high, low] = bytes;
        if signature != SIGNATURE {
            return Err(Malformed::Signature);
        }
        let is_local = match (version >> 4, version & 0x0f) {
            (VERSION, 0) => true,
            (VERSION, 1) => false,
            _ => return Err(Malformed::Unknown),
        };
        let addresses = match (family >> 4, family & 0x0f) {
            (1, 1) if !is_local => Addresses::V4,
            (2, 1) if !is_local => Addresses::V6,
            // No family, or not TCP: valid, but without an address to read (section 2.2, the
            // fourteenth byte).
            (0..=3, 0..=2) => Addresses::None,
            _ => return Err(Malformed::Unknown),
        };
        let rest = usize::from(u16::from_be_bytes([high, low]));
        if rest > REST_MAX {
            return Err(Malformed::TooLarge);
        }
        Ok(Self { addresses, rest })
    }
}

impl Addresses {
    /// Reads the address and port that the client has connected from. The order is source and
    /// destination address, source and destination port, each in network byte order.
    fn source(self, rest: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        match self {
            Self::None => Ok(None),
            Self::V4 => source(rest, |octets: [u8; 4]| Ipv4Addr::from(octets).into()),
            Self::V6 => source(rest, |octets: [u8; 16]| Ipv6Addr::from(octets).into()),
        }
    }
}

fn source<const N: usize>(
    rest: &[u8],
    of: fn([u8; N]) -> IpAddr,
) -> Result<Option<SocketAddr>, Malformed> {
    let (address, rest) = rest.split_first_chunk::<N>().ok_or(Malformed::TooShort)?;
    let (_, rest) = rest.split_first_chunk::<N>().ok_or(Malformed::TooShort)?;
    let (port, rest) = rest.split_first_chunk::<2>().ok_or(Malformed::TooShort)?;
    rest.split_first_chunk::<2>().ok_or(Malformed::TooShort)?;
    Ok(Some(SocketAddr::new(
        of(*address).to_canonical(),
        u16::from_be_bytes(*port),
    )))
}

#[cfg(test)]
mod tests;
