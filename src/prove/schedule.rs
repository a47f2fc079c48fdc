//! The times at which requests are due. They depend on nothing but the rate.

use std::time::Duration;

/// A constant rate for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Requests a second, at least one.
    rate: u32,
    duration: Duration,
}

impl Schedule {
    /// Makes the schedule of `rate` requests a second. A rate of 0 counts as 1.
    pub fn new(rate: u32, duration: Duration) -> Self {
        Self {
            rate: rate.max(1),
            duration,
        }
    }

    /// Returns how many requests are due in all, at least one.
    pub fn requests(self) -> u64 {
        let total = self.duration.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(total).unwrap_or(u64::MAX).max(1)
    }

    /// Returns the time after the begin at which a request is due; they are counted from 0.
    pub fn due(self, request: u64) -> Duration {
        let nanos = u128::from(request) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_equal_distances_without_drift() {
        let schedule = Schedule::new(3, Duration::from_secs(1000));
        assert_eq!(schedule.requests(), 3000);
        assert_eq!(schedule.due(0), Duration::ZERO);
        assert_eq!(schedule.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(schedule.due(3), Duration::from_secs(1));
        assert_eq!(schedule.due(2999), Duration::from_nanos(999_666_666_666));
        assert_eq!(schedule.due(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_schedule_has_a_request_at_least() {
        assert_eq!(Schedule::new(1, Duration::from_millis(100)).requests(), 1);
        assert_eq!(
            Schedule::new(1500, Duration::from_millis(1500)).requests(),
            2250
        );
    }
}
