//! Limits each customer's records and bytes a second, both by the generic cell rate algorithm
//! (`governor`), so that one customer's flood is rejected before it fills a channel that others
//! use.
//!
//! A rate is also the burst: after a pause of a second or more, a whole second's amount is accepted
//! at once. What is charged in vain is given back, and never raises the burst.
//!
//! Gateways that share a directory share quotas, too ([`QuotaShares`]).

mod shares;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use governor::RateLimiter;
use governor::clock::{Clock, MonotonicClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};

use super::directory::Customer;
use crate::config::Quota;

pub use shares::{QuotaShares, Rates};

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
    default: DefaultQuota,
    clock: C,
    /// The customers that have a quota, from their first record on: never more than the directory
    /// has had.
    limits: DashMap<Arc<str>, Arc<Limits<C>>>,
    /// The gateways that share each quota; `None` if it is this one's alone.
    gateways: Option<AtomicUsize>,
}

/// The quota of customers that have none of their own. It may change at any time.
struct DefaultQuota {
    /// Records and bytes, both in one so that they change together; 0 stands for no bound.
    rates: AtomicU64,
    changes: AtomicU64,
}

impl DefaultQuota {
    fn new(quota: Quota) -> Self {
        Self {
            rates: AtomicU64::new(Self::rates(quota)),
            changes: AtomicU64::new(0),
        }
    }

    fn set(&self, quota: Quota) {
        let rates = Self::rates(quota);
        if self.rates.swap(rates, Ordering::Relaxed) != rates {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn rates(quota: Quota) -> u64 {
        let number = |rate: Option<NonZeroU32>| rate.map_or(0, |rate| u64::from(rate.get()));
        number(quota.records) << 32 | number(quota.bytes)
    }

    fn get(&self) -> Quota {
        let rates = self.rates.load(Ordering::Relaxed);
        let rate = |number: u64| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX));
        Quota {
            records: rate(rates >> 32),
            bytes: rate(rates & u64::from(u32::MAX)),
        }
    }
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
            default: DefaultQuota::new(default),
            clock,
            limits: DashMap::new(),
            gateways: None,
        }
    }

    /// Returns them as a part of quotas that several gateways share: see [`QuotaShares`].
    #[must_use]
    pub fn shared(self) -> Self {
        Self {
            gateways: Some(AtomicUsize::new(1)),
            ..self
        }
    }

    /// Sets the quota of each customer that has none of its own. What customers have used of one that
    /// changes is forgotten.
    pub fn set_default(&self, quota: Quota) {
        self.default.set(quota);
    }

    /// Returns whether the customer's records or bytes are limited.
    pub fn has_quota(&self, customer: &Customer) -> bool {
        !self.quota(customer).is_unlimited()
    }

    /// Takes `records`, of `bytes` in all, from the customer's quota.
    ///
    /// # Errors
    /// See [`OverQuota`]; nothing is taken then.
    pub fn take(&self, customer: &Customer, records: usize, bytes: usize) -> Result<(), OverQuota> {
        let quota = self.quota(customer);
        if quota.is_unlimited() {
            return Ok(());
        }
        let limits = self.limits(&customer.id, quota);
        if let Some(asked) = &limits.asked {
            asked.count(records, bytes);
        }
        take(limits.records.as_ref(), records)?;
        take(limits.bytes.as_ref(), bytes)
            .inspect_err(|_| give_back(limits.records.as_ref(), records))
    }

    /// Returns whether the customer may ever send `records`, of `bytes` in all, at once.
    pub fn may_take(&self, customer: &Customer, records: usize, bytes: usize) -> bool {
        let quota = self.quota(customer);
        let holds = |rate: Option<NonZeroU32>, count: usize| {
            rate.is_none_or(|rate| u32::try_from(count).is_ok_and(|count| count <= rate.get()))
        };
        holds(quota.records, records) && holds(quota.bytes, bytes)
    }

    /// Returns the time of what is taken from now on, for [`give_back`](Self::give_back).
    pub fn time(&self) -> QuotaTime {
        QuotaTime(self.default.changes.load(Ordering::Relaxed))
    }

    /// Gives back `records`, of `bytes` in all, which were taken from the customer's quota at `time`.
    /// Does nothing if the quota has changed since.
    pub fn give_back(&self, customer: &Customer, records: usize, bytes: usize, time: QuotaTime) {
        let quota = self.quota(customer);
        if let Some(limits) = self.limits.get(&customer.id)
            && limits.quota == quota
            && limits.since <= time
        {
            give_back(limits.records.as_ref(), records);
            give_back(limits.bytes.as_ref(), bytes);
        }
    }

    /// Returns the customer's own quota, completed by the default.
    pub fn quota(&self, customer: &Customer) -> Quota {
        let own = customer.quota;
        let default = self.default.get();
        Quota {
            records: own.records.map_or(default.records, NonZeroU32::new),
            bytes: own.bytes.map_or(default.bytes, NonZeroU32::new),
        }
    }

    /// Returns the customer's limits; new ones when its quota has changed.
    fn limits(&self, id: &Arc<str>, quota: Quota) -> Arc<Limits<C>> {
        if let Some(limits) = self.limits.get(id).filter(|limits| limits.quota == quota) {
            return Arc::clone(&limits);
        }
        let limits = Arc::new(Limits {
            quota,
            since: self.time(),
            records: Limit::of(quota.records, self.first_part(), &self.clock),
            bytes: Limit::of(quota.bytes, self.first_part(), &self.clock),
            asked: self.gateways.is_some().then(Arc::default),
        });
        self.limits.insert(Arc::clone(id), Arc::clone(&limits));
        limits
    }
}

impl<C: Clock> Quotas<C> {
    /// Returns the part of a quota that a gateway begins with.
    fn first_part(&self) -> f64 {
        let gateways = self.gateways.as_ref();
        let gateways = gateways.map_or(1, |gateways| gateways.load(Ordering::Relaxed));
        1.0 / f64::from(u32::try_from(gateways.max(1)).unwrap_or(u32::MAX))
    }
}

/// A time between two changes of the default quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaTime(u64);

struct Limits<C: Clock> {
    quota: Quota,
    since: QuotaTime,
    records: Option<Limit<C>>,
    bytes: Option<Limit<C>>,
    /// What was asked for, taken or not, where other gateways are to know of it.
    asked: Option<Arc<Asked>>,
}

/// Records and bytes that a customer asked for since the last look.
#[derive(Default)]
struct Asked {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Asked {
    fn count(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A bound on one rate: the part of it that is this gateway's. Its burst is that of the whole.
struct Limit<C: Clock> {
    rate: NonZeroU32,
    part: f64,
    began: C::Instant,
    limiter: RateLimiter<NotKeyed, ArrivalTime, C, NoOpMiddleware<C::Instant>>,
    arrival_time: ArrivalTime,
    /// The time in which one is replenished, in nanoseconds.
    interval_ns: u64,
}

/// The theoretical arrival time of a limit, which its limiter moves forward by one interval for each
/// record or byte that it takes.
#[derive(Clone, Default)]
struct ArrivalTime(Arc<InMemoryState>);

impl StateStore for ArrivalTime {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, key: &NotKeyed, change: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, change)
    }
}

impl<C: Clock + Clone> Limit<C> {
    fn of(rate: Option<NonZeroU32>, part: f64, clock: &C) -> Option<Self> {
        rate.map(|rate| Self::new(rate, part, ArrivalTime::default(), clock))
    }

    fn new(rate: NonZeroU32, part: f64, arrival_time: ArrivalTime, clock: &C) -> Self {
        let whole = governor::Quota::per_second(rate);
        let interval = whole.replenish_interval().max(Duration::from_nanos(1));
        // The whole's own interval, to the nanosecond, where the part is the whole.
        let interval = if part < 1.0 {
            Duration::from_secs_f64(1.0 / (f64::from(rate.get()) * part))
        } else {
            interval
        };
        let quota = governor::Quota::with_period(interval).unwrap_or(whole);
        Self {
            rate,
            part,
            began: clock.now(),
            limiter: RateLimiter::new(quota.allow_burst(rate), arrival_time.clone(), clock.clone()),
            arrival_time,
            interval_ns: Nanos::from(interval).as_u64(),
        }
    }

    /// Returns the limit with another part of its rate. As much is used of it as before.
    fn with_part(&self, part: f64, clock: &C) -> Self {
        let new = Self::new(self.rate, part, ArrivalTime::default(), clock);
        let elapsed_ns = new.began.duration_since(self.began).as_u64();
        let _ = self
            .arrival_time
            .measure_and_replace(&NotKeyed::NonKey, |time| {
                let used_ns = time.map_or(0, |time| time.as_u64().saturating_sub(elapsed_ns));
                let used_ns = u128::from(used_ns) * u128::from(new.interval_ns)
                    / u128::from(self.interval_ns.max(1));
                let arrival = Nanos::new(u64::try_from(used_ns).unwrap_or(u64::MAX));
                new.arrival_time
                    .measure_and_replace(&NotKeyed::NonKey, |_| Ok::<_, ()>(((), arrival)))?;
                // The old one stays as it is.
                Err::<((), Nanos), ()>(())
            });
        new
    }
}

fn take<C: Clock>(limit: Option<&Limit<C>>, count: usize) -> Result<(), OverQuota> {
    let (Some(Limit { limiter, .. }), Some(count)) = (
        limit,
        NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)),
    ) else {
        return Ok(());
    };
    match limiter.check_n(count) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(until)) => Err(OverQuota::Until(
            until.wait_time_from(limiter.clock().now()),
        )),
        Err(_) => Err(OverQuota::Never),
    }
}

/// Moves the theoretical arrival time back. It may come to lie in the past, where the limiter no
/// longer tells one time from another: a limit never takes more at once than its burst.
fn give_back<C: Clock>(limit: Option<&Limit<C>>, count: usize) {
    let Some(limit) = limit else {
        return;
    };
    let given_ns = limit.interval_ns.saturating_mul(count as u64);
    // Without an arrival time, nothing has been taken yet.
    let _ = limit
        .arrival_time
        .measure_and_replace(&NotKeyed::NonKey, |time| {
            let time = time.ok_or(())?.as_u64();
            Ok::<_, ()>(((), Nanos::new(time.saturating_sub(given_ns))))
        });
}

#[cfg(test)]
mod tests;
