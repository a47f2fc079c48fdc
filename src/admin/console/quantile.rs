//! Quantiles of times, from the buckets of a histogram.

use super::figures::real;

/// Returns the time, in seconds, that this share of times took at most. `within[i]` of `total` times
/// were no longer than `bounds[i]`; inside a bucket they are taken to be spread evenly. `None` if
/// there are none.
pub(super) fn quantile(share: f64, bounds: &[f64], within: &[u64], total: u64) -> Option<f64> {
    if total == 0 {
        return None;
    }
    let rank = share * real(total);
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in bounds.iter().zip(within) {
        let count = real(*count);
        if count >= rank {
            let part = if count > below {
                (rank - below) / (count - below)
            } else {
                1.0
            };
            return Some(lower + (bound - lower) * part);
        }
        (lower, below) = (*bound, count);
    }
    // Longer than every bound: at least this long.
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(share: f64, within: &[u64], total: u64, expected: Option<f64>) {
        let found = quantile(share, &[1.0, 2.0, 4.0], within, total);
        let is_same = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(is_same, "{found:?} is not {expected:?}");
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        check(0.5, &[0, 0, 0], 0, None);
        check(0.5, &[10, 10, 10], 10, Some(0.5));
        check(0.5, &[0, 10, 10], 10, Some(1.5));
        check(0.5, &[5, 10, 10], 10, Some(1.0));
        check(0.99, &[98, 99, 100], 100, Some(2.0));
        check(1.0, &[98, 99, 100], 100, Some(4.0));
        check(0.99, &[1, 1, 1], 100, Some(4.0));
    }
}
