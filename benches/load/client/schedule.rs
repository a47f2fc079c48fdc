//! The times at which requests are due.

use std::time::{Duration, Instant};

/// The pace of one client.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// A closed loop: the next request is due as soon as a connection is idle.
    Closed,
    /// A constant rate: a request is due each time this has passed.
    Every(Duration),
    /// This many requests, due at once.
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

    /// Takes the next request that is due, and returns the time at which it was due.
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

    /// Returns whether no further request will be due.
    pub fn is_over(&self, now: Instant) -> bool {
        match self.pace {
            Pace::Closed => now >= self.end,
            Pace::Every(_) => self.next >= self.end,
            Pace::Count(left) => left == 0,
        }
    }

    /// Returns how long it takes until the next request is due, or `None` if that depends on
    /// answers.
    pub fn until_due(&self, now: Instant) -> Option<Duration> {
        match self.pace {
            Pace::Every(_) if self.next < self.end => {
                Some(self.next.saturating_duration_since(now))
            }
            _ => None,
        }
    }
}
