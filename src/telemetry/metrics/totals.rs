//! Values of metrics that are counted elsewhere.

use prometheus::IntCounter;

/// Brings a counter up to a total that is counted elsewhere.
pub(super) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Returns a count as a gauge takes it.
pub(super) fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
