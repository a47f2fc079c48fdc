//! The clock of a load: a thread that hands out requests when they are due. It never waits for an
//! answer. A request that is due while too many are in flight is not sent at all, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::schedule::Schedule;

/// The state that the clock shares with the requests.
#[derive(Debug)]
pub struct Pace {
    in_flight: AtomicUsize,
    in_flight_max: usize,
    due: AtomicU64,
    not_sent: AtomicU64,
    is_stopped: AtomicBool,
}

/// A request that counts as in flight until this is dropped.
#[derive(Debug)]
pub struct InFlight {
    pace: Arc<Pace>,
    /// The time at which it was due.
    pub due: Instant,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.pace.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// Makes a clock for so many requests in flight.
    pub fn new(in_flight_max: usize) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            in_flight_max,
            due: AtomicU64::new(0),
            not_sent: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        })
    }

    /// Starts the clock. The requests come over the receiver, which holds as many as may be in
    /// flight.
    pub fn start(
        self: &Arc<Self>,
        schedule: Schedule,
        begin: Instant,
    ) -> std::io::Result<(UnboundedReceiver<InFlight>, JoinHandle<()>)> {
        let (sender, receiver) = unbounded_channel();
        let pace = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("pace".to_owned())
            .spawn(move || pace.run(schedule, begin, &sender))?;
        Ok((receiver, thread))
    }

    /// Hands out no more requests.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// Returns how many requests have been due.
    pub fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// Returns how many of them were not sent.
    pub fn not_sent(&self) -> u64 {
        self.not_sent.load(Ordering::Relaxed)
    }

    /// Returns how many are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn run(
        self: &Arc<Self>,
        schedule: Schedule,
        begin: Instant,
        sender: &UnboundedSender<InFlight>,
    ) {
        for request in 0..schedule.requests() {
            let due = begin + schedule.due(request);
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left);
            }
            if self.is_stopped.load(Ordering::Relaxed) {
                return;
            }
            self.due.fetch_add(1, Ordering::Relaxed);
            match self.admit(due) {
                Some(in_flight) => {
                    if sender.send(in_flight).is_err() {
                        return;
                    }
                }
                None => {
                    self.not_sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Counts a request as in flight, if there is room for it.
    fn admit(self: &Arc<Self>, due: Instant) -> Option<InFlight> {
        if self.in_flight() >= self.in_flight_max {
            return None;
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(InFlight {
            pace: Arc::clone(self),
            due,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_beyond_the_bound_are_not_sent_and_counted() {
        let pace = Pace::new(2);
        // A schedule that has passed already.
        let begin = Instant::now();
        let schedule = Schedule::new(1_000_000, Duration::from_micros(5));
        let (mut receiver, thread) = pace.start(schedule, begin).expect("a thread");
        thread.join().expect("it ends");
        assert_eq!((pace.due(), pace.not_sent(), pace.in_flight()), (5, 3, 2));
        let first = receiver.try_recv().expect("a request");
        assert_eq!(first.due, begin);
        drop(first);
        assert_eq!(pace.in_flight(), 1);
    }

    #[test]
    fn a_clock_that_is_stopped_hands_out_nothing() {
        let pace = Pace::new(2);
        pace.stop();
        let schedule = Schedule::new(1, Duration::from_secs(1));
        let (mut receiver, thread) = pace.start(schedule, Instant::now()).expect("a thread");
        thread.join().expect("it ends");
        assert!(receiver.try_recv().is_err());
        assert_eq!(pace.due(), 0);
    }
}
