//! The memory of who has logged in and who has failed, by which logins that wait for a hash are
//! ordered. It decides nothing else: who is forgotten waits longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::identity::hashing::Standing;
use crate::identity::limits::Origin;
use crate::identity::peer::Peer;

/// The time for which a user is known at a peer after the last password that was hashed and right.
const KNOWN: Duration = Duration::from_hours(7 * 24);
/// The most users known at peers. Counts in the memory ceiling.
const KNOWN_MAX: u64 = 16_384;
/// The time for which failures count, from a peer's first one on.
const FAILED: Duration = Duration::from_hours(1);
/// The most peers and networks with failures. Counts in the memory ceiling.
const FAILED_MAX: u64 = 65_536;

/// The memory.
pub(super) struct Standings {
    known: Cache<Origin, ()>,
    failures: Cache<Peer, Arc<AtomicU32>>,
}

impl Standings {
    pub(super) fn new() -> Self {
        Self {
            known: Cache::builder()
                .max_capacity(KNOWN_MAX)
                .time_to_live(KNOWN)
                .build(),
            failures: Cache::builder()
                .max_capacity(FAILED_MAX)
                .time_to_live(FAILED)
                .build(),
        }
    }

    /// Returns the standing of an attempt's origin.
    pub(super) fn of(&self, origin: &Origin) -> Standing {
        let mut failures = [0; Peer::NETWORKS];
        for (failures, network) in failures.iter_mut().zip(origin.peer.networks()) {
            let count = self.failures.get(&network);
            *failures = count.map_or(0, |count| count.load(Ordering::Relaxed));
        }
        Standing {
            peer: origin.peer,
            is_known: self.known.contains_key(origin),
            failures,
        }
    }

    /// Remembers that the user has logged in from the peer.
    pub(super) fn succeeded(&self, origin: Origin) {
        self.known.insert(origin, ());
    }

    /// Counts a failure of the peer and of the networks around it.
    pub(super) fn failed(&self, peer: Peer) {
        for network in peer.networks() {
            let count = self.failures.get_with(network, Arc::default);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn origin(user: u8, peer: &str) -> Origin {
        Origin {
            user: [user; 32],
            peer: peer.parse::<IpAddr>().expect("an address").into(),
        }
    }

    #[test]
    fn a_user_is_known_where_it_has_logged_in_and_nowhere_else() {
        let standings = Standings::new();
        standings.succeeded(origin(1, "192.0.2.1"));
        let is_known = |user, peer| standings.of(&origin(user, peer)).is_known;
        assert!(is_known(1, "192.0.2.1"));
        assert!(!is_known(2, "192.0.2.1") && !is_known(1, "192.0.2.2"));
        standings.failed(origin(1, "192.0.2.1").peer);
        assert!(is_known(1, "192.0.2.1"), "a stranger's guess takes nothing");
    }

    #[test]
    fn failures_count_for_the_peer_and_the_networks_around_it() {
        let standings = Standings::new();
        for peer in ["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"] {
            standings.failed(origin(1, peer).peer);
        }
        let failures = |peer| standings.of(&origin(2, peer)).failures;
        assert_eq!(failures("192.0.2.1"), [1, 0, 0]);
        assert_eq!(failures("192.0.2.2"), [0, 0, 0]);
        assert_eq!(failures("2001:db8::9"), [2, 3, 3]);
        assert_eq!(failures("2001:db8:0:100::1"), [0, 0, 3]);
    }
}
