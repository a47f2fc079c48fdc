//! The rounds in which records that were held back are sent again, in order.
//!
//! A worker that has refused a record of a unit refuses all others of that unit until the next round,
//! which begins with the first record that is held back. So no record overtakes an earlier one of its
//! key. A round begins, and goes on, only when workers have met all that was sent before. It goes
//! through all records once, but for those of keys that were refused in it: a unit that settles
//! nothing keeps none of another unit from being tried.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The records of one step of a round.
pub(super) const STEP: usize = 512;
/// The wait for workers to meet what was sent.
const MEET_WAIT: Duration = Duration::from_millis(2);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The state of the rounds.
pub(super) struct Rounds {
    number: u64,
    /// The place where the round goes on; `None` between rounds.
    from: Option<u64>,
    next_at: Instant,
    backoff: Duration,
    /// The records that were sent again in the round.
    sent: usize,
    /// The records that were refused since the round began, and the hashes of their keys.
    refusals: usize,
    refused: HashSet<u32>,
}

impl Rounds {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            number: 1,
            from: None,
            next_at: now,
            backoff: BACKOFF_MIN,
            sent: 0,
            refusals: 0,
            refused: HashSet::new(),
        }
    }

    /// Returns the number of the round, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Notes that a record of this key was refused.
    pub(super) fn refuse(&mut self, key_hash: u32) {
        self.refusals += 1;
        self.refused.insert(key_hash);
    }

    /// Whether a record of this key was refused in the round.
    pub(super) fn is_refused(&self, key_hash: u32) -> bool {
        self.refused.contains(&key_hash)
    }

    /// Returns the sequence number from which on records may be sent again now. `all_met` says
    /// whether workers have met all that was sent.
    pub(super) fn step(&mut self, has_parked: bool, all_met: bool, now: Instant) -> Option<u64> {
        if !all_met {
            return None;
        }
        if self.from.is_none() && has_parked && now >= self.next_at {
            self.number += 1;
            self.from = Some(0);
            self.sent = 0;
            self.refusals = 0;
            self.refused.clear();
        }
        self.from
    }

    /// Notes the records of a step, and where the next one begins.
    pub(super) fn sent(&mut self, count: usize, next: u64) {
        self.sent += count;
        self.from = Some(next);
    }

    /// Ends the round: all records were looked at, and workers have met those that were sent. The next
    /// one waits for longer, unless one of them was taken.
    pub(super) fn end(&mut self, now: Instant) {
        self.from = None;
        self.backoff = if self.sent > self.refusals {
            BACKOFF_MIN
        } else {
            (self.backoff * 2).min(BACKOFF_MAX)
        };
        self.next_at = now + self.backoff;
    }

    /// Returns the time to look again.
    pub(super) fn next(&self, has_parked: bool, now: Instant) -> Option<Instant> {
        match self.from {
            Some(_) => Some(now + MEET_WAIT),
            None => has_parked.then_some(self.next_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through a round in which so many records of one key are sent and refused. Returns the
    /// wait before the next one.
    fn round(rounds: &mut Rounds, sent: usize, refused: usize, now: Instant) -> Duration {
        assert_eq!(rounds.step(true, true, now), Some(0));
        rounds.sent(sent, 9);
        assert_eq!(rounds.step(true, false, now), None, "not all are met");
        (0..refused).for_each(|_| rounds.refuse(7));
        assert_eq!(rounds.step(true, true, now), Some(9));
        rounds.end(now);
        let next = rounds.next(true, now).expect("records are held back");
        let before = next.checked_sub(MEET_WAIT).expect("it is later");
        assert_eq!(rounds.step(true, true, before), None);
        next - now
    }

    #[test]
    fn a_round_in_which_nothing_is_taken_has_the_next_one_wait_for_longer() {
        let begin = Instant::now();
        let mut rounds = Rounds::new(begin);
        let first = rounds.number();
        assert_eq!(
            rounds.step(false, true, begin),
            None,
            "nothing is held back"
        );
        let mut now = begin;
        for expected in [100, 200, 400, 800, 1_600, 2_000, 2_000] {
            let wait = round(&mut rounds, 3, 3, now);
            assert_eq!(wait, Duration::from_millis(expected));
            now += wait;
        }
        assert!(rounds.is_refused(7));
        assert_eq!(round(&mut rounds, 3, 2, now), BACKOFF_MIN);
        assert_eq!(rounds.number(), first + 8);
        assert_eq!(rounds.step(true, true, now + BACKOFF_MIN), Some(0));
        assert!(!rounds.is_refused(7), "it is another round");
    }
}
