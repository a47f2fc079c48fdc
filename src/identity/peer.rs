//! A peer address, by which clients are told apart before they show credentials.

use std::iter;
use std::net::{IpAddr, Ipv6Addr};

/// A peer: an IPv4 address, or a network of IPv6 addresses that counts as one. An IPv6 address
/// stands for its /64, because an Internet provider gives each customer at least that much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    address: IpAddr,
    prefix: u8,
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self::network(address, 64),
            address @ IpAddr::V4(_) => Self {
                address,
                prefix: 32,
            },
        }
    }
}

impl Peer {
    /// The most [`networks`](Self::networks) of a peer.
    pub const NETWORKS: usize = 3;
    /// The size of each of them: how many times as much as one peer it may have. Far less than its
    /// number of peers, because one customer may have the whole network.
    pub const SIZES: [u32; Self::NETWORKS] = [1, 4, 16];

    /// Returns the peer itself, and then the wider networks around an IPv6 peer: the /56 and the
    /// /48, which providers give to one customer too.
    pub fn networks(self) -> impl Iterator<Item = Self> {
        iter::successors(Some(self), |peer| peer.wider())
    }

    /// Returns the widest of its networks, which one customer of a provider may have as a whole.
    #[must_use]
    pub fn widest(self) -> Self {
        self.networks().last().unwrap_or(self)
    }

    /// Returns the address, of a network its first.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns whether the peer is this network or within it.
    pub fn is_in(self, network: Self) -> bool {
        self.networks().any(|around| around == network)
    }

    fn wider(self) -> Option<Self> {
        match (self.address, self.prefix) {
            (IpAddr::V6(address), 64) => Some(Self::network(address, 56)),
            (IpAddr::V6(address), 56) => Some(Self::network(address, 48)),
            _ => None,
        }
    }

    fn network(address: Ipv6Addr, prefix: u8) -> Self {
        let mask = u128::MAX << (128 - prefix);
        Self {
            address: Ipv6Addr::from_bits(address.to_bits() & mask).into(),
            prefix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn one_network_is_one_peer() {
        let check = |one: &str, other: &str, same: bool| {
            assert_eq!(peer(one) == peer(other), same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("::ffff:192.0.2.1", "::ffff:192.0.2.2", false);
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
    }

    #[test]
    fn an_ipv6_peer_is_in_a_56_and_a_48() {
        let check = |one: &str, other: &str, shared: usize| {
            let networks = peer(one).networks();
            let count = networks
                .filter(|network| peer(other).is_in(*network))
                .count();
            assert_eq!(count, shared, "{one} {other}");
        };
        check("2001:db8:1:2::1", "2001:db8:1:2::2", 3);
        check("2001:db8:1:2::1", "2001:db8:1:ff::1", 2);
        check("2001:db8:1:2::1", "2001:db8:1:100::1", 1);
        check("2001:db8:1:2::1", "2001:db8:2:2::1", 0);
        check("192.0.2.1", "192.0.2.1", 1);
        check("192.0.2.1", "192.0.2.2", 0);
        // A /56 is not the /64 that begins at the same address.
        let wide = peer("2001:db8:1::1").networks().nth(1).expect("a /56");
        assert_ne!(wide, peer("2001:db8:1::1"));
    }
}
