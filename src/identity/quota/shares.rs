//! A customer's quota over several gateways: each takes a part of the rate that follows from what it
//! and the others were lately asked to take.
//!
//! While all together are asked for less than the quota, a gateway's part is what it was asked for and
//! an even part of what is left; beyond, it is in proportion to what it was asked for. The parts of all
//! add up to the quota, but for a floor so that no gateway has nothing. Exact counting would need a
//! question for each request.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};

use super::{Limit, Limits, Quotas};
use crate::config::Quota;

/// The weight of what was asked since the last look in what a gateway is asked lately.
const NEWEST: f64 = 0.5;
/// The part of an even share below which a gateway is asked too little to tell the others, and that it
/// may always take.
const FLOOR: f64 = 0.05;
/// The customers that others are told of, those with the greatest part of their quota.
const CUSTOMERS_MAX: usize = 10_000;
/// Smaller changes of a part are not made.
const CHANGE_MIN: f64 = 0.01;

/// Records and bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Records a second.
    pub records: f64,
    /// Bytes a second.
    pub bytes: f64,
}

/// This gateway's parts of the quotas. One thread keeps them.
pub struct QuotaShares<C: Clock = MonotonicClock> {
    quotas: Arc<Quotas<C>>,
    asked: HashMap<Arc<str>, Rates>,
    gateways: u32,
}

impl<C: Clock + Clone> QuotaShares<C> {
    /// Begins with even parts.
    pub fn new(quotas: Arc<Quotas<C>>) -> Self {
        Self {
            quotas,
            asked: HashMap::new(),
            gateways: 1,
        }
    }

    /// Notes how many gateways share the quotas.
    pub fn set_gateways(&mut self, gateways: usize) {
        self.gateways = u32::try_from(gateways.max(1)).unwrap_or(u32::MAX);
        if let Some(shared) = &self.quotas.gateways {
            shared.store(gateways, Ordering::Relaxed);
        }
    }

    /// Returns what customers were lately asking for at this gateway, `elapsed` after the last time:
    /// what others are to be told.
    pub fn asked(&mut self, elapsed: Duration) -> Vec<(Arc<str>, Rates)> {
        let elapsed_s = elapsed.as_secs_f64().max(0.001);
        let mut told = Vec::new();
        for entry in &self.quotas.limits {
            let Some(asked) = &entry.asked else { continue };
            let new = Rates {
                records: number(asked.records.swap(0, Ordering::Relaxed)) / elapsed_s,
                bytes: number(asked.bytes.swap(0, Ordering::Relaxed)) / elapsed_s,
            };
            let before = self.asked.get(entry.key()).copied().unwrap_or(new);
            let smooth = |before: f64, new: f64| before + NEWEST * (new - before);
            let lately = Rates {
                records: smooth(before.records, new.records),
                bytes: smooth(before.bytes, new.bytes),
            };
            let used = used(lately, entry.quota);
            if used * f64::from(self.gateways) >= FLOOR {
                told.push((used, Arc::clone(entry.key()), lately));
            }
        }
        told.sort_by(|a, b| b.0.total_cmp(&a.0));
        told.truncate(CUSTOMERS_MAX);
        self.asked = told
            .iter()
            .map(|(_, id, lately)| (Arc::clone(id), *lately))
            .collect();
        told.into_iter()
            .map(|(_, id, lately)| (id, lately))
            .collect()
    }

    /// Sets this gateway's parts by what others are asked, all others of a customer together.
    pub fn set_others(&self, others: &HashMap<String, Rates>) {
        let mut changed = Vec::new();
        // Who serves a request waits for no lock on all of them.
        for entry in &self.quotas.limits {
            let mine = self.asked.get(entry.key());
            let theirs = others.get(&**entry.key()).copied().unwrap_or_default();
            let part = |rate: Option<NonZeroU32>, of: fn(&Rates) -> f64| {
                let rate = f64::from(rate.map_or(0, NonZeroU32::get));
                part(rate, mine.map(of), of(&theirs), f64::from(self.gateways))
            };
            let limits = entry.value();
            let records = part(limits.quota.records, |rates| rates.records);
            let bytes = part(limits.quota.bytes, |rates| rates.bytes);
            if differs(limits.records.as_ref(), records) || differs(limits.bytes.as_ref(), bytes) {
                changed.push((Arc::clone(entry.key()), records, bytes));
            }
        }
        for (id, records, bytes) in changed {
            let Some(mut entry) = self.quotas.limits.get_mut(&id) else {
                continue;
            };
            let clock = &self.quotas.clock;
            let with_part = |limit: &Option<Limit<C>>, part| {
                limit.as_ref().map(|limit| limit.with_part(part, clock))
            };
            *entry = Arc::new(Limits {
                quota: entry.quota,
                since: entry.since,
                records: with_part(&entry.records, records),
                bytes: with_part(&entry.bytes, bytes),
                asked: entry.asked.clone(),
            });
        }
    }
}

/// Returns the part of a rate that is this gateway's; of one that it is hardly asked for, an even one.
fn part(rate: f64, mine: Option<f64>, others: f64, gateways: f64) -> f64 {
    let even = 1.0 / gateways;
    let Some(mine) = mine.filter(|_| rate > 0.0) else {
        return even;
    };
    let all = mine + others;
    let taken = if all < rate {
        mine + (rate - all) / gateways
    } else {
        rate * mine / all
    };
    (taken / rate).clamp(FLOOR * even, 1.0)
}

/// Returns the greatest part of a quota that these rates are.
fn used(rates: Rates, quota: Quota) -> f64 {
    let part = |rate: f64, of: Option<NonZeroU32>| of.map_or(0.0, |of| rate / f64::from(of.get()));
    part(rates.records, quota.records).max(part(rates.bytes, quota.bytes))
}

fn differs<C: Clock>(limit: Option<&Limit<C>>, part: f64) -> bool {
    limit.is_some_and(|limit| (limit.part - part).abs() > CHANGE_MIN * part)
}

/// Numbers of records and bytes in a second are far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "they are far below 2⁵³")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::identity::directory::Directory;

    const SECOND: Duration = Duration::from_secs(1);

    fn directory() -> Directory {
        let text = "[[customer]]\nid = \"a\"\nname = \"A\"\n";
        Directory::parse(text, "directory.toml".as_ref()).expect("a directory")
    }

    /// Gateways that share a quota of 1,000 records a second, on one clock.
    struct Fleet {
        clock: FakeRelativeClock,
        gateways: Vec<(
            Arc<Quotas<FakeRelativeClock>>,
            QuotaShares<FakeRelativeClock>,
        )>,
        directory: Directory,
    }

    impl Fleet {
        fn new(count: usize) -> Self {
            let clock = FakeRelativeClock::default();
            let quota = Quota {
                records: NonZeroU32::new(1_000),
                bytes: None,
            };
            let gateway = || {
                let quotas = Arc::new(Quotas::with_clock(quota, clock.clone()).shared());
                let mut shares = QuotaShares::new(Arc::clone(&quotas));
                shares.set_gateways(count);
                (quotas, shares)
            };
            Self {
                gateways: (0..count).map(|_| gateway()).collect(),
                clock: clock.clone(),
                directory: directory(),
            }
        }

        /// Sends so many records a second to each gateway for a second, and returns how many each
        /// took.
        fn second(&mut self, rates: &[u32]) -> Vec<u32> {
            let customer = self.directory.customer("a").expect("a customer");
            let mut taken = vec![0; rates.len()];
            let mut due = vec![0.0; rates.len()];
            for _ in 0..100 {
                self.clock.advance(SECOND / 100);
                for (index, rate) in rates.iter().enumerate() {
                    due[index] += f64::from(*rate) / 100.0;
                    while due[index] >= 1.0 {
                        due[index] -= 1.0;
                        let take = self.gateways[index].0.take(customer, 1, 1);
                        taken[index] += u32::from(take.is_ok());
                    }
                }
            }
            let told: Vec<_> = self
                .gateways
                .iter_mut()
                .map(|(_, shares)| shares.asked(SECOND))
                .collect();
            for (index, (_, shares)) in self.gateways.iter().enumerate() {
                let mut others = HashMap::<String, Rates>::new();
                for (_, told) in told.iter().enumerate().filter(|(other, _)| *other != index) {
                    for (id, rates) in told {
                        let all = others.entry(id.to_string()).or_default();
                        all.records += rates.records;
                        all.bytes += rates.bytes;
                    }
                }
                shares.set_others(&others);
            }
            taken
        }

        /// As many seconds as the parts take to settle, and then the records a second that all took
        /// together in ten.
        fn settled(&mut self, rates: &[u32]) -> f64 {
            for _ in 0..6 {
                self.second(rates);
            }
            let taken: u32 = (0..10).flat_map(|_| self.second(rates)).sum();
            f64::from(taken) / 10.0
        }
    }

    #[test]
    fn all_together_take_the_quota_however_uneven_the_load() {
        for rates in [
            &[3_000, 3_000, 3_000][..],
            &[3_000, 100, 10],
            &[3_000, 0, 0],
            &[600, 600, 600],
            &[2_000, 1_000, 0],
            &[1_100],
            &[900, 900, 20, 20, 20],
        ] {
            let all = Fleet::new(rates.len()).settled(rates);
            assert!((all - 1_000.0).abs() <= 100.0, "{rates:?}: {all}");
        }
    }

    #[test]
    fn who_asks_for_less_than_the_quota_gets_all_of_it() {
        for rates in [&[300, 300, 300][..], &[900, 0, 50], &[950, 5, 5]] {
            let mut fleet = Fleet::new(rates.len());
            let asked = f64::from(rates.iter().sum::<u32>());
            let all = fleet.settled(rates);
            assert!((all - asked).abs() <= asked * 0.02, "{rates:?}: {all}");
        }
    }

    #[test]
    fn a_load_that_moves_is_followed_within_seconds() {
        let mut fleet = Fleet::new(3);
        fleet.settled(&[3_000, 0, 0]);
        let all = fleet.settled(&[0, 0, 3_000]);
        assert!((all - 1_000.0).abs() <= 100.0, "{all}");
    }

    /// A burst is as large as the whole quota, so that a request of as much is never refused for ever.
    #[test]
    fn a_request_of_the_whole_quota_is_taken_by_a_part_of_it() {
        let fleet = Fleet::new(4);
        let customer = fleet.directory.customer("a").expect("a customer");
        let quotas = &fleet.gateways[0].0;
        assert_eq!(quotas.take(customer, 1_000, 1), Ok(()));
        let wait = quotas.take(customer, 1_000, 1).expect_err("it is used up");
        assert_eq!(wait, super::super::OverQuota::Until(SECOND * 4));
        assert!(quotas.may_take(customer, 1_000, 1));
    }

    #[test]
    fn another_part_leaves_as_much_used() {
        let mut fleet = Fleet::new(2);
        let quotas = Arc::clone(&fleet.gateways[0].0);
        let directory = directory();
        let customer = directory.customer("a").expect("a customer");
        assert_eq!(quotas.take(customer, 1_000, 1), Ok(()));
        let wait = |quotas: &Quotas<FakeRelativeClock>| match quotas.take(customer, 1, 1) {
            Err(super::super::OverQuota::Until(wait)) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(&quotas), SECOND / 500);
        // It alone is asked: the whole is its own.
        let shares = &mut fleet.gateways[0].1;
        shares.asked(SECOND);
        shares.set_others(&HashMap::new());
        assert_eq!(wait(&quotas), SECOND / 1_000);
        fleet.clock.advance(SECOND / 2);
        assert_eq!(quotas.take(customer, 500, 1), Ok(()));
        assert!(quotas.take(customer, 1, 1).is_err());
    }
}
