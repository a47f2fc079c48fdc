//! A budget of connections for each peer address, and for the networks that it is in.
//!
//! An IPv6 address counts in each of its peer's networks. A network is forgotten with its last
//! connection, so there are never more than three entries for each connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config;
use crate::identity::Peer;

/// Counts of connections for each network, and the bounds on them.
pub(super) struct PeerBudget {
    bounds: Bounds,
    connections: Mutex<HashMap<Peer, usize>>,
}

/// The most connections of each of a peer's networks, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds([usize; Peer::NETWORKS]);

impl Bounds {
    /// Returns wider bounds for wider networks. None of them is all connections, unless the bound
    /// for one address is.
    fn new(max_connections: usize, max_connections_per_peer: usize) -> Self {
        let address = max_connections_per_peer;
        Self([
            address,
            (2 * address).min(max_connections / 2).max(address),
            (3 * address).min(max_connections / 4 * 3).max(address),
        ])
    }

    /// Returns the networks in which a peer counts, each with its bound.
    fn of(self, peer: Peer) -> impl Iterator<Item = (Peer, usize)> {
        peer.networks().zip(self.0)
    }
}

impl PeerBudget {
    pub(super) fn new(server: &config::Server) -> Arc<Self> {
        Arc::new(Self {
            bounds: Bounds::new(server.max_connections, server.max_connections_per_peer),
            connections: Mutex::default(),
        })
    }

    /// Returns a permit for one more connection of this address, or `None` if it or one of its
    /// networks has as many as it may have.
    pub(super) fn try_acquire(self: &Arc<Self>, address: IpAddr) -> Option<PeerPermit> {
        let peer = Peer::from(address);
        let mut connections = self.connections.lock();
        let has_room = self
            .bounds
            .of(peer)
            .all(|(network, bound)| connections.get(&network).copied().unwrap_or(0) < bound);
        if !has_room {
            return None;
        }
        for network in peer.networks() {
            *connections.entry(network).or_default() += 1;
        }
        Some(PeerPermit {
            budget: Arc::clone(self),
            peer,
        })
    }
}

/// A permit for one connection of a peer. Dropping it gives it back.
pub(super) struct PeerPermit {
    budget: Arc<PeerBudget>,
    peer: Peer,
}

impl Drop for PeerPermit {
    fn drop(&mut self) {
        let mut connections = self.budget.connections.lock();
        for network in self.peer.networks() {
            match connections.get_mut(&network) {
                Some(count) if *count > 1 => *count -= 1,
                _ => {
                    connections.remove(&network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(max_connections: usize, max_connections_per_peer: usize) -> Arc<PeerBudget> {
        Arc::new(PeerBudget {
            bounds: Bounds::new(max_connections, max_connections_per_peer),
            connections: Mutex::default(),
        })
    }

    #[test]
    fn each_peer_has_its_own_bound_and_is_forgotten_with_its_last_connection() {
        let budget = budget(100, 2);
        let acquire = |text: &str| budget.try_acquire(text.parse().expect("an address"));
        let first = acquire("192.0.2.1");
        let second = acquire("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some());
        assert!(acquire("192.0.2.1").is_none());
        assert!(acquire("192.0.2.2").is_some());
        drop(first);
        assert!(acquire("192.0.2.1").is_some());
        let network = [acquire("2001:db8::1"), acquire("2001:db8::2")];
        assert!(network.iter().all(Option::is_some));
        assert!(acquire("2001:db8::3").is_none() && acquire("2001:db8:0:1::3").is_some());
        drop((second, network));
        let left = budget.connections.lock();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn the_holder_of_a_wider_network_has_a_wider_bound_and_never_all_connections() {
        let budget = budget(16, 4);
        let acquire = |text: String| budget.try_acquire(text.parse().expect("an address"));
        let site: Vec<_> = (0..16)
            .filter_map(|subnet| acquire(format!("2001:db8:0:{subnet:x}::1")))
            .collect();
        assert_eq!(site.len(), 8, "those of one /56");
        let organization: Vec<_> = (1..16)
            .filter_map(|site| acquire(format!("2001:db8:0:{site:x}00::1")))
            .collect();
        assert_eq!(site.len() + organization.len(), 12, "those of one /48");
        assert!(acquire("2001:db8:1::1".to_owned()).is_some());
        drop(site);
        assert!(acquire("2001:db8:0:1::1".to_owned()).is_some());
    }

    #[test]
    fn no_wider_network_is_bounded_below_one_address() {
        let check = |max, per_peer, site, organization| {
            let expected = Bounds([per_peer, site, organization]);
            assert_eq!(Bounds::new(max, per_peer), expected);
        };
        check(16_384, 4096, 8192, 12_288);
        check(16_384, 100, 200, 300);
        check(16_384, 7000, 8192, 12_288);
        check(16_384, 16_384, 16_384, 16_384);
        check(1000, 4096, 4096, 4096);
    }
}
