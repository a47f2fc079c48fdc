//! Bounds on failed logins: for the pair of user and peer address, and, wider, for the peer address
//! alone, so that a stranger's failures never lock a user out elsewhere.
//!
//! Only failures count. The generic cell rate algorithm (`governor`) keeps one time for each pair
//! and peer: after a burst of the whole minute's failures, one more is let through each time its
//! share of the minute has passed.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

/// Failed logins a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailuresPerMinute {
    /// Of one user from one peer address; 10 by default.
    pub user_and_peer: NonZeroU32,
    /// From one peer address; 100 by default.
    pub peer: NonZeroU32,
}

impl Default for FailuresPerMinute {
    fn default() -> Self {
        const {
            Self {
                user_and_peer: NonZeroU32::new(10).unwrap(),
                peer: NonZeroU32::new(100).unwrap(),
            }
        }
    }
}

/// A peer address, as far as one customer of an Internet provider has it alone: IPv6 by /64.
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

/// Who tries to log in, and from where. The user stands as a digest: names sent by strangers have
/// any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) user: [u8; 32],
    pub(super) peer: Peer,
}

/// Counts failed logins and says who has to wait.
pub(super) struct LoginLimits<C: Clock = MonotonicClock> {
    by_origin: Limiter<Origin, C>,
    by_peer: Limiter<Peer, C>,
    failures: AtomicU64,
}

impl<C: Clock + Clone> LoginLimits<C> {
    pub(super) fn new(failures: FailuresPerMinute, clock: &C) -> Self {
        Self {
            by_origin: Limiter::new(failures.user_and_peer, clock),
            by_peer: Limiter::new(failures.peer, clock),
            failures: AtomicU64::new(0),
        }
    }

    /// How long this origin has to wait before it may try again, if it has to.
    pub(super) fn check(&self, origin: &Origin) -> Result<(), Duration> {
        match self
            .by_origin
            .wait(origin)
            .max(self.by_peer.wait(&origin.peer))
        {
            Duration::ZERO => Ok(()),
            wait => Err(wait),
        }
    }

    /// Counts a failed login.
    pub(super) fn count(&self, origin: &Origin) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.by_origin.count(origin);
        self.by_peer.count(&origin.peer);
    }

    /// Failed logins since the start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// One bound. `governor` has no question that does not count, so the key says whether this one
/// does.
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
        let arrivals = Arrivals(Mutex::new(HashMap::new()));
        Self(RateLimiter::new(
            Quota::per_minute(per_minute),
            arrivals,
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
        // Failures that were under way together may be more than the bound: it is reached, and that
        // is all.
        let _ = self.0.check_key(&Ask::Count(*key));
    }
}

/// The theoretical arrival time of each key with recent failures.
struct Arrivals<K>(Mutex<HashMap<K, Nanos>>);

/// About 5 MB of keys. Hashing is far too slow for so many failures in the minute that one is kept.
const ENTRIES_MAX: usize = 65_536;

impl<K: Copy + Eq + Hash> Arrivals<K> {
    fn entries(&self) -> MutexGuard<'_, HashMap<K, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> StateStore for Arrivals<K> {
    type Key = Ask<K>;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask<K>, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut entries = self.entries();
        let (Ask::Look(key) | Ask::Count(key)) = ask;
        let (outcome, arrival) = measure(entries.get(key).copied())?;
        if matches!(ask, Ask::Count(_)) {
            if entries.len() >= ENTRIES_MAX && !entries.contains_key(key) {
                forget_mildest(&mut entries);
            }
            entries.insert(*key, arrival);
        }
        Ok(outcome)
    }
}

impl<K: Copy + Eq + Hash> ShrinkableKeyedStateStore<Ask<K>> for Arrivals<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.entries().retain(|_, arrival| *arrival > drop_below);
    }

    fn len(&self) -> usize {
        self.entries().len()
    }

    fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }
}

/// Makes room by the key that is closest to having no failures.
fn forget_mildest<K: Copy + Eq + Hash>(entries: &mut HashMap<K, Nanos>) {
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
