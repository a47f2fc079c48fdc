//! When requests are due.

use std::time::{Duration, Instant};

/// How one client sends.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as a connection has its answer.
    Closed,
    /// One in such a time, whatever the answers do.
    Every(Duration),
    /// So many, at once.
    Count(usize),
}

pub struct Schedule {
    pace: Pace,
    next: Instant,
    end: Instant,
}

impl Schedule {
    pub fn new(pace: Pace, now: Instant, time: Duration) -> Self {
        Self {
            pace,
            next: now,
            end: now + time,
        }
    }

    /// Takes the next request that is due, with the time at which it was.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        match self.pace {
            Pace::Closed => (now < self.end).then_some(now),
            Pace::Count(left) => left.checked_sub(1).map(|left| {
                self.pace = Pace::Count(left);
                now
            }),
            Pace::Every(step) => {
                let due = self.next;
                (due <= now && due < self.end).then(|| {
                    self.next += step;
                    due
                })
            }
        }
    }

    /// Whether nothing will be due any more.
    pub fn is_over(&self, now: Instant) -> bool {
        match self.pace {
            Pace::Closed => now >= self.end,
            Pace::Every(_) => self.next >= self.end,
            Pace::Count(left) => left == 0,
        }
    }

    /// How long until the next one is due, if that is a matter of time alone.
    pub fn until_due(&self, now: Instant) -> Option<Duration> {
        match self.pace {
            Pace::Every(_) if self.next < self.end => {
                Some(self.next.saturating_duration_since(now))
            }
            _ => None,
        }
    }
}
