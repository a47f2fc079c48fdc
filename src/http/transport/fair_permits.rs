//! Permits that all peers share. One peer holds at most a multiple of what it leaves free, so that
//! the next peer finds some.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::config::PEERS_PART;
use crate::identity::Peer;

/// Permits, and how many of them each peer holds.
pub struct FairPermits {
    total: usize,
    used: AtomicUsize,
    /// Never more entries than permits.
    peers: DashMap<Peer, usize>,
}

impl FairPermits {
    /// Creates permits of which one peer alone may hold so many, and all together a quarter more.
    pub(super) fn new(for_one_peer: usize) -> Self {
        Self {
            total: for_one_peer + for_one_peer.div_ceil(PEERS_PART),
            used: AtomicUsize::new(0),
            peers: DashMap::new(),
        }
    }

    /// Returns a permit for a peer, if there is one left and the peer does not hold too many.
    /// `None` as peer stands for a proxy, whose clients are not known yet.
    pub(super) fn try_acquire(&self, peer: Option<Peer>) -> Option<FairPermit<'_>> {
        let used = self.used.fetch_add(1, Ordering::Relaxed) + 1;
        let permit = FairPermit {
            permits: self,
            peer,
        };
        let held = peer.map_or(1, |peer| {
            let mut held = self.peers.entry(peer).or_insert(0);
            *held += 1;
            *held
        });
        let free = self.total.checked_sub(used)?;
        (held == 1 || held <= PEERS_PART * free).then_some(permit)
    }

    /// Returns the number of permits that nobody holds.
    #[cfg(feature = "testing")]
    pub(crate) fn available(&self) -> usize {
        self.total - self.used.load(Ordering::Relaxed)
    }
}

/// A permit of a peer. Dropping it gives it back.
pub(super) struct FairPermit<'a> {
    permits: &'a FairPermits,
    peer: Option<Peer>,
}

impl Drop for FairPermit<'_> {
    fn drop(&mut self) {
        self.permits.used.fetch_sub(1, Ordering::Relaxed);
        if let Some(peer) = self.peer {
            self.permits.peers.remove_if_mut(&peer, |_, held| {
                *held -= 1;
                *held == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::from(std::net::IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn one_peer_alone_holds_just_its_part_and_the_next_finds_some() {
        for part in [1, 2, 3, 4, 5, 24, 1000] {
            let permits = FairPermits::new(part);
            let held: Vec<_> = iter::from_fn(|| permits.try_acquire(Some(peer(1)))).collect();
            assert_eq!(held.len(), part);
            assert!(permits.try_acquire(Some(peer(2))).is_some());
            drop(held);
            assert_eq!(permits.used.load(Ordering::Relaxed), 0);
            assert!(permits.peers.is_empty());
        }
    }

    #[test]
    fn proxies_are_bounded_by_all_alone() {
        let permits = FairPermits::new(4);
        let held: Vec<_> = iter::from_fn(|| permits.try_acquire(None)).collect();
        assert_eq!(held.len(), 5);
        assert!(permits.try_acquire(Some(peer(1))).is_none());
    }

    #[test]
    fn without_any_nobody_gets_one() {
        assert!(FairPermits::new(0).try_acquire(Some(peer(1))).is_none());
    }
}
