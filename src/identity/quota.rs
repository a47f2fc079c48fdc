//! What a customer may send a second: records and bytes, each by the generic cell rate algorithm
//! (`governor`), so that one customer's flood is refused before it fills a queue that others share.
//!
//! A rate is also the burst: after a pause of a second or more, a whole second's worth is taken at
//! once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::directory::Customer;
use crate::size;

/// How much a second, of records and of bytes. `None`: as much as the gateway takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Records a second.
    pub records: Option<NonZeroU32>,
    /// Bytes of records a second.
    pub bytes: Option<NonZeroU32>,
}

/// A customer's own rates, over those that all have. 0: without a bound, whatever others have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnRates {
    /// Records a second.
    pub records: Option<u32>,
    /// Bytes of records a second.
    pub bytes: Option<u32>,
}

/// Why records are not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverQuota {
    /// They are, after so long.
    Until(Duration),
    /// They are more than the customer may ever send at once.
    Never,
}

/// Reads bytes a second from `"2 MiB"`; `"0 B"` is without a bound.
///
/// # Errors
/// What is wrong with the text.
pub fn bytes(text: &str) -> Result<u32, String> {
    let size = size::parse(text)
        .ok_or_else(|| format!("{text:?} is not a size with its unit, such as \"2 MiB\""))?;
    u32::try_from(size).map_err(|_| format!("{text:?} is 4 GiB or more"))
}

/// The rates of all customers, and where each stands.
pub struct Quotas<C: Clock = MonotonicClock> {
    all: Rates,
    clock: C,
    /// Of customers that have a bound, from their first record on: never more than the directory
    /// has had.
    limits: DashMap<Arc<str>, Arc<Limits<C>>>,
}

impl Quotas {
    /// `all` are the rates of each customer that has none of its own.
    pub fn new(all: Rates) -> Self {
        Self::with_clock(all, MonotonicClock)
    }
}

impl<C: Clock + Clone> Quotas<C> {
    fn with_clock(all: Rates, clock: C) -> Self {
        Self {
            all,
            clock,
            limits: DashMap::new(),
        }
    }

    /// Takes `records` of `bytes` in all from what the customer may send. What is over one bound
    /// still counts against the other.
    ///
    /// # Errors
    /// See [`OverQuota`].
    pub fn take(&self, customer: &Customer, records: usize, bytes: usize) -> Result<(), OverQuota> {
        let rates = Rates {
            records: customer
                .rates
                .records
                .map_or(self.all.records, NonZeroU32::new),
            bytes: customer.rates.bytes.map_or(self.all.bytes, NonZeroU32::new),
        };
        if rates == Rates::default() {
            return Ok(());
        }
        let limits = self.limits(&customer.id, rates);
        take(limits.records.as_ref(), records).and_then(|()| take(limits.bytes.as_ref(), bytes))
    }

    /// Where the customer stands; anew when its rates have changed.
    fn limits(&self, id: &Arc<str>, rates: Rates) -> Arc<Limits<C>> {
        if let Some(limits) = self.limits.get(id).filter(|limits| limits.rates == rates) {
            return Arc::clone(&limits);
        }
        let limits = Arc::new(Limits::new(rates, &self.clock));
        self.limits.insert(Arc::clone(id), Arc::clone(&limits));
        limits
    }
}

struct Limits<C: Clock> {
    rates: Rates,
    records: Option<Limit<C>>,
    bytes: Option<Limit<C>>,
}

type Limit<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl<C: Clock + Clone> Limits<C> {
    fn new(rates: Rates, clock: &C) -> Self {
        let limit = |rate| RateLimiter::direct_with_clock(Quota::per_second(rate), clock.clone());
        Self {
            rates,
            records: rates.records.map(limit),
            bytes: rates.bytes.map(limit),
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

    fn rates(records: u32, bytes: u32) -> Rates {
        Rates {
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
    fn a_second_holds_so_many_records_and_each_customer_has_its_own() {
        let (clock, directory) = (FakeRelativeClock::default(), customers(""));
        let quotas = Quotas::with_clock(rates(10, 0), clock.clone());
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
    fn a_second_holds_so_many_bytes() {
        let (clock, directory) = (FakeRelativeClock::default(), customers(""));
        let quotas = Quotas::with_clock(rates(0, 1000), clock.clone());
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
    fn a_customers_own_rates_go_before_and_change_with_the_directory() {
        let clock = FakeRelativeClock::default();
        let quotas = Quotas::with_clock(rates(10, 1000), clock);
        let own = customers("quota = { records = 2 }");
        assert_eq!(take(&quotas, &own, "a", 3, 1), Err(OverQuota::Never));
        assert_eq!(
            take(&quotas, &own, "a", 1, 1001),
            Err(OverQuota::Never),
            "the other rate is everybody's"
        );
        assert_eq!(take(&quotas, &own, "b", 10, 1), Ok(()));
        let unbounded = customers("quota = { records = 0, bytes = '0 B' }");
        assert_eq!(take(&quotas, &unbounded, "a", 1 << 20, 1 << 40), Ok(()));
        let more = customers("quota = { records = 5 }");
        assert_eq!(take(&quotas, &more, "a", 5, 1), Ok(()));
    }
}
