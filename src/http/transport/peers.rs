//! A budget of connections for each peer address.
//!
//! An address is forgotten with its last connection, so there are never more entries than
//! connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::identity::Peer;

/// A count of connections for each peer address, IPv6 by /64, and the bound on each count.
pub(super) struct PeerBudget {
    max_connections_per_peer: usize,
    connections: Mutex<HashMap<Peer, usize>>,
}

impl PeerBudget {
    pub(super) fn new(max_connections_per_peer: usize) -> Arc<Self> {
        Arc::new(Self {
            max_connections_per_peer,
            connections: Mutex::new(HashMap::new()),
        })
    }

    /// Returns a permit for one more connection of this address, or `None` if it has as many as it
    /// may have.
    pub(super) fn try_acquire(self: &Arc<Self>, address: IpAddr) -> Option<PeerPermit> {
        let peer = Peer::from(address);
        let mut connections = self.connections.lock();
        let count = connections.entry(peer).or_default();
        if *count >= self.max_connections_per_peer {
            return None;
        }
        *count += 1;
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
        match connections.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                connections.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_its_own_bound_and_is_forgotten_with_its_last_connection() {
        let budget = PeerBudget::new(2);
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
}
