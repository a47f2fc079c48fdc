//! Limits on failed logins: for each pair of user and peer address, and a wider one for each peer
//! address, so that another client's failures never lock a user out elsewhere. Wider ones still are
//! for the networks around an IPv6 peer, which one customer may have as a whole.
//!
//! Only failures count. The generic cell rate algorithm (`governor`) keeps one time for each pair
//! and peer: after a burst of a whole minute's failures, one more attempt is allowed each time its
//! fraction of the minute has passed.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::peer::Peer;
use crate::config::Login;

/// The user and the peer of a login. The user is a digest: names that clients send have any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) user: [u8; 32],
    pub(super) peer: Peer,
}

/// Counts failed logins, and tells how long an origin has to wait.
pub(super) struct LoginLimits<C: Clock = MonotonicClock> {
    by_origin: Limiter<Origin, C>,
    /// By the peer, and by each network around it.
    by_network: [Limiter<Peer, C>; Peer::NETWORKS],
    failures: AtomicU64,
}

impl<C: Clock + Clone> LoginLimits<C> {
    pub(super) fn new(config: &Login, clock: &C) -> Self {
        Self {
            by_origin: Limiter::new(config.failures_per_user, clock),
            by_network: Peer::SIZES.map(|size| {
                let size = NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN);
                Limiter::new(config.failures_per_peer.saturating_mul(size), clock)
            }),
            failures: AtomicU64::new(0),
        }
    }

    /// Returns how long this origin has to wait before its next attempt, as an error if it has to.
    pub(super) fn check(&self, origin: &Origin) -> Result<(), Duration> {
        let networks = self.by_network.iter().zip(origin.peer.networks());
        let waits = networks.map(|(limiter, network)| limiter.wait(&network));
        match waits.fold(self.by_origin.wait(origin), Duration::max) {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Counts a failed login of one peer, whose user may be any of several.
    pub(super) fn count(&self, origins: impl IntoIterator<Item = Origin>) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut peer = None;
        for origin in origins {
            self.by_origin.count(&origin);
            peer = Some(origin.peer);
        }
        if let Some(peer) = peer {
            self.count_networks(peer);
        }
    }

    /// Counts a log-in that failed at another gateway.
    pub(super) fn count_elsewhere(&self, origin: &Origin) {
        self.by_origin.count(origin);
        self.count_networks(origin.peer);
    }

    fn count_networks(&self, peer: Peer) {
        for (limiter, network) in self.by_network.iter().zip(peer.networks()) {
            limiter.count(&network);
        }
    }

    /// Returns the number of failed logins since the start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// One limit. Every check of `governor` counts, so the key says whether this one does.
struct Limiter<K: Copy + Eq + Hash, C: Clock>(
    RateLimiter<Ask<K>, Arrivals<K>, C, NoOpMiddleware<C::Instant>>,
);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Ask<K> {
    Look(K),
    Count(K),
}

impl<K: Copy + Eq + Hash, C: Clock + Clone> Limiter<K, C> {
    fn new(per_minute: NonZeroU32, clock: &C) -> Self {
        Self(RateLimiter::new(
            Quota::per_minute(per_minute),
            Arrivals(Mutex::new(HashMap::new())),
            clock.clone(),
        ))
    }

    fn wait(&self, key: &K) -> Duration {
        match self.0.check_key(&Ask::Look(*key)) {
            Ok(()) => Duration::ZERO,
            Err(until) => until.wait_time_from(self.0.clock().now()),
        }
    }

    fn count(&self, key: &K) {
        if self.0.len() >= ENTRIES_MAX {
            self.0.retain_recent();
        }
        // Failures that were under way together may exceed the limit: it is reached all the same.
        let _ = self.0.check_key(&Ask::Count(*key));
    }
}

/// The theoretical arrival time of each key with recent failures.
struct Arrivals<K>(Mutex<HashMap<K, Nanos>>);

/// The most keys, about 5 MB. Hashing is far too slow for so many failures within the minute for
/// which a key is kept.
const ENTRIES_MAX: usize = 65_536;

impl<K: Copy + Eq + Hash> StateStore for Arrivals<K> {
    type Key = Ask<K>;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask<K>, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut entries = self.0.lock();
        let (Ask::Look(key) | Ask::Count(key)) = ask;
        let (outcome, arrival) = measure(entries.get(key).copied())?;
        if matches!(ask, Ask::Count(_)) {
            if entries.len() >= ENTRIES_MAX && !entries.contains_key(key) {
                remove_mildest(&mut entries);
            }
            entries.insert(*key, arrival);
        }
        Ok(outcome)
    }
}

impl<K: Copy + Eq + Hash> ShrinkableKeyedStateStore<Ask<K>> for Arrivals<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.lock().retain(|_, arrival| *arrival > drop_below);
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Removes the key that is closest to having no failures.
fn remove_mildest<K: Copy + Eq + Hash>(entries: &mut HashMap<K, Nanos>) {
    let mildest = entries
        .iter()
        .min_by_key(|(_, arrival)| **arrival)
        .map(|(key, _)| *key);
    if let Some(key) = mildest {
        entries.remove(&key);
    }
}

#[cfg(test)]
mod tests;
