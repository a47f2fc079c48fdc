//! A bound on the records that a journal's backlog sends to the sink in a second.

use std::time::{Duration, Instant};

/// The time for which unused records may be made up for.
const BURST: Duration = Duration::from_millis(100);

/// A bound on a rate; none at all if there is no such bound.
pub(crate) struct Rate {
    /// The time between two records.
    gap: Option<Duration>,
    /// The time at which the next record is due.
    due: Instant,
}

impl Rate {
    /// `per_second` records, or any number.
    pub(crate) fn new(per_second: Option<u32>, now: Instant) -> Self {
        Self {
            gap: per_second.map(|rate| Duration::from_secs(1) / rate.max(1)),
            due: now,
        }
    }

    /// Returns whether one more record may be sent at `now`, and counts it.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let Some(gap) = self.gap else {
            return true;
        };
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        self.due = self.due.max(earliest);
        if self.due > now {
            return false;
        }
        self.due += gap;
        true
    }

    /// Returns the time at which the next record may be sent, if it is later than `now`.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        (self.gap.is_some() && self.due > now).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_over_time_and_makes_up_for_little() {
        let begin = Instant::now();
        let mut rate = Rate::new(Some(100), begin);
        let mut taken = 0;
        for millis in 0..2_000 {
            let now = begin + Duration::from_millis(millis);
            while rate.take(now) {
                taken += 1;
            }
        }
        assert_eq!(taken, 200);
        let later = begin + Duration::from_mins(1);
        let mut burst = 0;
        while rate.take(later) {
            burst += 1;
        }
        assert_eq!(burst, 11, "100 ms, and the one that is due");
        assert!(rate.next(later) > Some(later));
        let mut free = Rate::new(None, begin);
        assert!((0..1_000).all(|_| free.take(begin)) && free.next(begin).is_none());
    }
}
