//! How fast a body has to come: all of it in a time, and, once a grace is over, so many bytes a
//! second on average. A body that is there already costs no look at the clock.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::BodyLimits;
use crate::telemetry::Limit;

/// A connection may need so long to get going, or to come back, whatever the rate.
const GRACE: Duration = Duration::from_secs(5);

/// One body's pace.
pub(super) struct Pace {
    limits: BodyLimits,
    received: Cell<usize>,
}

impl Pace {
    pub(super) fn new(limits: BodyLimits) -> Self {
        Self {
            limits,
            received: Cell::new(0),
        }
    }

    /// So many bytes more have come, as sent.
    pub(super) fn came(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes);
    }

    /// What comes of reading the body, or the limit that it has reached before.
    pub(super) async fn keep<F: Future>(&self, reading: F) -> Result<F::Output, Limit> {
        let (mut reading, mut timer) = (pin!(reading), pin!(None::<Sleep>));
        let (mut began, mut was_asked_for) = (None, false);
        poll_fn(|context| {
            if let Poll::Ready(read) = reading.as_mut().poll(context) {
                return Poll::Ready(Ok(read));
            }
            if !was_asked_for {
                // hyper hands on what it has once it is asked for it.
                was_asked_for = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let began = *began.get_or_insert_with(Instant::now);
            let (time, limit) = self.due();
            loop {
                let Some(mut timer) = timer.as_mut().as_pin_mut() else {
                    timer.set(Some(sleep_until(began + time)));
                    continue;
                };
                ready!(timer.as_mut().poll(context));
                if began.elapsed() >= time {
                    return Poll::Ready(Err(limit));
                }
                // More has come since it was armed.
                timer.reset(began + time);
            }
        })
        .await
    }

    /// When more has to have come, from the body's beginning, and why.
    fn due(&self) -> (Duration, Limit) {
        let BodyLimits { time, rate, .. } = self.limits;
        let microseconds = self.received.get() as u64 * 1_000_000;
        match microseconds
            .checked_div(rate as u64)
            .map(|paid| GRACE + Duration::from_micros(paid))
        {
            Some(paid) if paid < time => (paid, Limit::BodyRate),
            _ => (time, Limit::BodyTime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_pays_for_time() {
        let check = |time: u64, rate: usize, received: usize, millis: u64, limit: Limit| {
            let pace = Pace::new(BodyLimits {
                size: usize::MAX,
                time: Duration::from_secs(time),
                rate,
            });
            pace.came(received);
            let case = format!("{received} bytes at {rate} a second in {time} s");
            assert_eq!(pace.due(), (Duration::from_millis(millis), limit), "{case}");
        };
        check(10, 1024, 0, 5_000, Limit::BodyRate);
        check(10, 1024, 1024, 6_000, Limit::BodyRate);
        check(10, 1024, 4864, 9_750, Limit::BodyRate);
        check(10, 1024, 5120, 10_000, Limit::BodyTime);
        check(10, 1024, 1 << 30, 10_000, Limit::BodyTime);
        check(10, 0, 0, 10_000, Limit::BodyTime);
        check(4, 1024, 0, 4_000, Limit::BodyTime);
        check(60, 1 << 20, 1 << 19, 5_500, Limit::BodyRate);
    }
}
