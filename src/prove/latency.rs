//! Times to the answer, and their percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told from longer ones.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// The times of many requests, with three significant digits.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The number of requests.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p99_9_ms: f64,
    /// The longest time.
    pub max_ms: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Self(histogram.expect("constant bounds that hold"))
    }
}

impl Latency {
    /// Adds the time of one request.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// Returns the percentiles.
    pub fn percentiles(&self) -> Percentiles {
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most an hour in microseconds"
        )]
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| ms(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: ms(self.0.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_recorded_times() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles().count, 0);
        for ms in 1..=1000 {
            latency.record(Duration::from_millis(ms));
        }
        let found = latency.percentiles();
        assert_eq!(found.count, 1000);
        for (found, expected) in [
            (found.p50_ms, 500.0),
            (found.p99_ms, 990.0),
            (found.p99_9_ms, 999.0),
            (found.max_ms, 1000.0),
        ] {
            assert!((found - expected).abs() < 1.0, "{found} of {expected}");
        }
    }
}
