//! Limits each customer's records and bytes a second, both by the generic cell rate algorithm
//! (`governor`), so that one customer's flood is rejected before it fills a channel that others
//! use.
//!
//! A rate is also the burst: after a pause of a second or more, a whole second's amount is accepted
//! at once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use governor::RateLimiter;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};

use super::directory::Customer;
use crate::config::Quota;

/// The reason why records are not accepted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// They would be accepted after this time.
    Until(Duration),
    /// They are more than the customer may ever send at once.
    Never,
}

/// The quota of each customer, and how much of it is used.
pub struct Quotas<C: Clock = MonotonicClock> {
    default: Quota,
    clock: C,
    /// The customers that have a quota, from their first record on: never more than the directory
    /// has had.
    limits: DashMap<Arc<str>, Arc<Limits<C>>>,
}

impl Quotas {
    /// `default` holds for each customer that has no quota of its own.
    pub fn new(default: Quota) -> Self {
        Self::with_clock(default, MonotonicClock)
    }
}

impl<C: Clock + Clone> Quotas<C> {
    fn with_clock(default: Quota, clock: C) -> Self {
        Self {
            default,
            clock,
            limits: DashMap::new(),
        }
    }

    /// Takes `records`, of `bytes` in all, from the customer's quota. Records over the limit on
    /// bytes still count as records.
    ///
    /// # Errors
    /// See [`OverQuota`].
    pub fn take(&self, customer: &Customer, records: usize, bytes: usize) -> Result<(), OverQuota> {
        let own = customer.quota;
        let quota = Quota {
            records: own.records.map_or(self.default.records, NonZeroU32::new),
            bytes: own.bytes.map_or(self.default.bytes, NonZeroU32::new),
        };
        if quota.is_unlimited() {
            return Ok(());
        }
        let limits = self.limits(&customer.id, quota);
        take(limits.records.as_ref(), records).and_then(|()| take(limits.bytes.as_ref(), bytes))
    }

    /// Returns the customer's limits; new ones when its quota has changed.
    fn limits(&self, id: &Arc<str>, quota: Quota) -> Arc<Limits<C>> {
        if let Some(limits) = self.limits.get(id).filter(|limits| limits.quota == quota) {
            return Arc::clone(&limits);
        }
        let limits = Arc::new(Limits::new(quota, &self.clock));
        self.limits.insert(Arc::clone(id), Arc::clone(&limits));
        limits
    }
}

struct Limits<C: Clock> {
    quota: Quota,
    records: Option<Limit<C>>,
    bytes: Option<Limit<C>>,
}

type Limit<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl<C: Clock + Clone> Limits<C> {
    fn new(quota: Quota, clock: &C) -> Self {
        let limit = |rate| {
            let per_second = governor::Quota::per_second(rate);
            RateLimiter::direct_with_clock(per_second, clock.clone())
        };
        Self {
            quota,
            records: quota.records.map(limit),
            bytes: quota.bytes.map(limit),
        }
    }
}

fn take<C: Clock>(limit: Option<&Limit<C>>, count: usize) -> Result<(), OverQuota> {
    let (Some(limit), Some(count)) = (
        limit,
        NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)),
    ) else {
        return Ok(());
    };
    match limit.check_n(count) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(until)) => Err(OverQuota::Until(until.wait_time_from(limit.clock().now()))),
        Err(_) => Err(OverQuota::Never),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::identity::directory::Directory;

    const SECOND: Duration = Duration::from_secs(1);

    fn customers(quota: &str) -> Directory {
        let text = format!(
            "[[customer]]\nid = 'a'\nname = 'A'\n{quota}\n[[customer]]\nid = 'b'\nname = 'B'\n"
        );
        Directory::parse(&text, "directory.toml".as_ref()).expect("a directory")
    }

    fn quota(records: u32, bytes: u32) -> Quota {
        Quota {
            records: NonZeroU32::new(records),
            bytes: NonZeroU32::new(bytes),
        }
    }

    fn take(
        quotas: &Quotas<FakeRelativeClock>,
        directory: &Directory,
        id: &str,
        records: usize,
        bytes: usize,
    ) -> Result<(), OverQuota> {
        quotas.take(directory.customer(id).expect("a customer"), records, bytes)
    }

    #[test]
    fn records_a_second_are_limited_for_each_customer_alone() {
        let clock = FakeRelativeClock::default();
        let directory = customers("");
        let quotas = Quotas::with_clock(quota(10, 0), clock.clone());
        assert_eq!(take(&quotas, &directory, "a", 10, 1 << 30), Ok(()));
        assert_eq!(
            take(&quotas, &directory, "a", 1, 1),
            Err(OverQuota::Until(SECOND / 10))
        );
        assert_eq!(take(&quotas, &directory, "b", 10, 1), Ok(()));
        clock.advance(SECOND / 10);
        assert_eq!(take(&quotas, &directory, "a", 1, 1), Ok(()));
        clock.advance(SECOND);
        assert_eq!(take(&quotas, &directory, "a", 11, 1), Err(OverQuota::Never));
        assert_eq!(take(&quotas, &directory, "a", 10, 1), Ok(()));
    }

    #[test]
    fn bytes_a_second_are_limited() {
        let clock = FakeRelativeClock::default();
        let directory = customers("");
        let quotas = Quotas::with_clock(quota(0, 1000), clock.clone());
        assert_eq!(take(&quotas, &directory, "a", 100, 600), Ok(()));
        assert_eq!(
            take(&quotas, &directory, "a", 1, 600),
            Err(OverQuota::Until(SECOND / 5))
        );
        assert_eq!(
            take(&quotas, &directory, "a", 1, 1001),
            Err(OverQuota::Never)
        );
        assert_eq!(
            take(&quotas, &directory, "a", 1, usize::MAX),
            Err(OverQuota::Never)
        );
    }

    #[test]
    fn a_customers_own_quota_overrides_the_default_and_changes_with_the_directory() {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas::with_clock(quota(10, 1000), clock);
        let own = customers("quota = { records = 2 }");
        assert_eq!(take(&quotas, &own, "a", 3, 1), Err(OverQuota::Never));
        assert_eq!(
            take(&quotas, &own, "a", 1, 1001),
            Err(OverQuota::Never),
            "the other rate is the default"
        );
        assert_eq!(take(&quotas, &own, "b", 10, 1), Ok(()));
        let unbounded = customers("quota = { records = 0, bytes = '0 B' }");
        assert_eq!(take(&quotas, &unbounded, "a", 1 << 20, 1 << 40), Ok(()));
        let more = customers("quota = { records = 5 }");
        assert_eq!(take(&quotas, &more, "a", 5, 1), Ok(()));
    }
}
