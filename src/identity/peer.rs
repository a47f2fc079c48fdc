//! A peer address, by which clients are told apart before they show credentials.

use std::net::{IpAddr, Ipv6Addr};

/// A peer address. IPv6 addresses of one /64 count as one, because an Internet provider gives each
/// customer at least that much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            )),
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl Peer {
    /// Returns the address, of IPv6 the network's.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_peer() {
        let check = |one: &str, other: &str, same: bool| {
            let peer = |text: &str| Peer::from(text.parse::<IpAddr>().expect("an address"));
            assert_eq!(peer(one) == peer(other), same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("::ffff:192.0.2.1", "::ffff:192.0.2.2", false);
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
    }
}
