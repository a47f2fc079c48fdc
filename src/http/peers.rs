//! How many connections each peer address has. An address is forgotten with its last connection, so
//! there are never more of them than connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Peer;

/// Counts connections by peer address, IPv6 by /64.
pub(super) struct Peers {
    connections_max: usize,
    connections: Mutex<HashMap<Peer, usize>>,
}

impl Peers {
    pub(super) fn new(connections_max: usize) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            connections: Mutex::new(HashMap::new()),
        })
    }

    /// A place for one more connection of this address, given back when dropped; none where it has
    /// as many as it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = Peer::from(address);
        let mut connections = self.lock();
        let count = connections.entry(peer).or_default();
        if *count >= self.connections_max {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: Arc::clone(self),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Peer, usize>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection among its peer's.
pub(super) struct Place {
    peers: Arc<Peers>,
    peer: Peer,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.peers.lock();
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
    fn the_bound_is_each_peers_own_and_the_last_one_out_is_forgotten() {
        let peers = Peers::new(2);
        let enter = |text: &str| peers.enter(text.parse().expect("an address"));
        let (first, second) = (enter("192.0.2.1"), enter("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(first);
        assert!(enter("192.0.2.1").is_some());
        let network = [enter("2001:db8::1"), enter("2001:db8::2")];
        assert!(network.iter().all(Option::is_some));
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::3").is_some());
        drop((second, network));
        assert!(peers.lock().is_empty(), "{:?}", peers.lock());
    }
}
