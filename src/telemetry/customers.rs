//! Each customer's accepted and refused records. Only customers of the directory are counted, and
//! only a bounded number of them have series of their own, so that neither clients nor a large
//! directory can flood the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// The records of one customer since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerTotals {
    /// The customer; `None` stands for all customers beyond the bound on series.
    pub customer: Option<Arc<str>>,
    /// The records that were accepted.
    pub accepted: u64,
    /// The records that were refused.
    pub refused: u64,
}

/// The numbers of accepted and refused records, by customer.
#[derive(Debug)]
pub struct CustomerCounts {
    series: DashMap<Arc<str>, Counts>,
    series_max: usize,
    other: Counts,
}

impl CustomerCounts {
    pub(super) fn new(series_max: usize) -> Self {
        Self {
            series: DashMap::new(),
            series_max,
            other: Counts::default(),
        }
    }

    /// Counts records of `customer`, who must be one of the directory's.
    pub fn add(&self, customer: &Arc<str>, accepted: usize, refused: usize) {
        let add = |counts: &Counts| {
            counts
                .accepted
                .fetch_add(accepted as u64, Ordering::Relaxed);
            counts.refused.fetch_add(refused as u64, Ordering::Relaxed);
        };
        if let Some(counts) = self.series.get(customer) {
            add(&counts);
        } else if self.series.len() < self.series_max {
            // Concurrent threads may exceed the bound by one each, so it is still a bound.
            add(&self.series.entry(Arc::clone(customer)).or_default());
        } else {
            add(&self.other);
        }
    }

    /// Returns the totals of each series.
    pub fn totals(&self) -> Vec<CustomerTotals> {
        let totals = |customer: Option<&Arc<str>>, counts: &Counts| CustomerTotals {
            customer: customer.cloned(),
            accepted: counts.accepted.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
        };
        let series = self.series.iter();
        let series = series.map(|entry| totals(Some(entry.key()), entry.value()));
        series.chain([totals(None, &self.other)]).collect()
    }

    /// Calls `each` with each series: customer, accepted, refused. The customer is `None` for the
    /// series of all customers beyond the bound.
    pub(super) fn for_each_series(&self, mut each: impl FnMut(Option<&str>, u64, u64)) {
        let mut show = |customer: Option<&str>, counts: &Counts| {
            each(
                customer,
                counts.accepted.load(Ordering::Relaxed),
                counts.refused.load(Ordering::Relaxed),
            );
        };
        self.series
            .iter()
            .for_each(|entry| show(Some(entry.key()), entry.value()));
        show(None, &self.other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_beyond_the_bound_share_a_series() {
        let counts = CustomerCounts::new(2);
        for customer in ["a", "b", "c", "d", "a"] {
            counts.add(&customer.into(), 1, 2);
        }
        let mut seen = Vec::new();
        counts.for_each_series(|customer, accepted, refused| {
            seen.push((customer.map(str::to_owned), accepted, refused));
        });
        seen.sort();
        let expected = [(None, 2, 4), (Some("a"), 2, 4), (Some("b"), 1, 2)];
        assert_eq!(
            seen,
            expected.map(|(customer, accepted, refused)| (
                customer.map(str::to_owned),
                accepted,
                refused
            ))
        );
    }
}
