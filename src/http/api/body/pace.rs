//! The time limits of a body: the whole must arrive in time and, after a grace period, at an
//! average rate. The clock is not read for a body that has already arrived.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::telemetry::Limit;

/// The time that a connection may need to start or to recover, whatever the rate.
const GRACE: Duration = Duration::from_secs(5);

/// The pace of one body.
pub(super) struct Pace {
    body_timeout: Duration,
    /// Bytes a second. 0: any.
    body_rate: usize,
    /// Bytes that have come, as sent.
    received: Cell<usize>,
}

impl Pace {
    pub(super) fn new(body_timeout: Duration, body_rate: usize) -> Self {
        Self {
            body_timeout,
            body_rate,
            received: Cell::new(0),
        }
    }

    /// Adds bytes that have come, as sent.
    pub(super) fn add(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes);
    }

    /// Runs `reading` to its end.
    ///
    /// # Errors
    /// The limit that the body reaches before.
    pub(super) async fn bound<F: Future>(&self, reading: F) -> Result<F::Output, Limit> {
        let mut reading = pin!(reading);
        let mut timer = pin!(None::<Sleep>);
        let mut began = None;
        let mut was_asked_for = false;
        poll_fn(|context| {
            if let Poll::Ready(read) = reading.as_mut().poll(context) {
                return Poll::Ready(Ok(read));
            }
            if !was_asked_for {
                // hyper hands on the bytes that it has once it is asked for them.
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
                // More bytes have come since the timer was armed.
                timer.reset(began + time);
            }
        })
        .await
    }

    /// Returns the deadline for more bytes, counted from the body's beginning, and its limit.
    fn due(&self) -> (Duration, Limit) {
        let microseconds = self.received.get() as u64 * 1_000_000;
        match microseconds
            .checked_div(self.body_rate as u64)
            .map(|paid| GRACE + Duration::from_micros(paid))
        {
            Some(paid) if paid < self.body_timeout => (paid, Limit::BodyRate),
            _ => (self.body_timeout, Limit::BodyTime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_came_extend_the_deadline() {
        let check = |time: u64, rate: usize, received: usize, millis: u64, limit: Limit| {
            let pace = Pace::new(Duration::from_secs(time), rate);
            pace.add(received);
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
