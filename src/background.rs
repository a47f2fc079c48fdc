//! A background thread that works in intervals until it is stopped.
//!
//! A thread that hangs in a system call is left behind at the deadline: it must hold nothing that
//! the rest of the process needs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_utils::sync::{Parker, Unparker};

use crate::threads::all_ended;

/// A named background thread. Dropping it tells the thread to stop and does not wait.
#[derive(Debug)]
pub struct Background {
    stopped: Arc<AtomicBool>,
    unparker: Unparker,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts a thread named `name` that runs `work`, which returns once its [`Signals`] say so.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(
        name: impl Into<String>,
        work: impl FnOnce(&Signals) + Send + 'static,
    ) -> io::Result<Self> {
        let parker = Parker::new();
        let unparker = parker.unparker().clone();
        let stopped = Arc::new(AtomicBool::new(false));
        let signals = Signals {
            stopped: Arc::clone(&stopped),
            parker,
        };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&signals))?;
        Ok(Self {
            stopped,
            unparker,
            thread,
        })
    }

    /// Returns a function that ends the thread's current [`Signals::wait`].
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let unparker = self.unparker.clone();
        move || unparker.unpark()
    }

    /// Tells the thread to stop.
    pub fn signal_stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.unparker.unpark();
    }

    /// Stops the thread. Blocks until it has ended or until `deadline`; returns whether it has
    /// ended.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.signal_stop();
        all_ended([&self.thread], deadline)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.signal_stop();
    }
}

/// The wake-ups and the stop that a background thread receives.
#[derive(Debug)]
pub struct Signals {
    stopped: Arc<AtomicBool>,
    parker: Parker,
}

impl Signals {
    /// Waits for `time`, for a wake-up or for the stop; returns `false` once stopped.
    pub fn wait(&self, time: Duration) -> bool {
        if !self.is_stopped() {
            self.parker.park_timeout(time);
        }
        !self.is_stopped()
    }

    /// Waits for `time` or for the stop; returns `false` once stopped. Wake-ups are ignored.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.is_stopped() || left.is_zero() {
                return !self.is_stopped();
            }
            self.parker.park_timeout(left);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Far longer than any test takes.
    const LONG: Duration = Duration::from_mins(10);

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[test]
    fn a_stop_ends_every_wait() {
        let waits: [fn(&Signals, Duration) -> bool; 2] = [Signals::wait, Signals::sleep];
        for wait in waits {
            let (sender, receiver) = mpsc::channel();
            let work = move |signals: &Signals| {
                let _ = sender.send(wait(signals, LONG));
            };
            let background = Background::start("test", work).expect("a thread");
            assert!(background.stop(soon()));
            assert_eq!(receiver.recv(), Ok(false));
        }
    }

    #[test]
    fn a_wake_up_ends_a_wait_but_no_sleep() {
        let (sender, receiver) = mpsc::channel();
        let work = move |signals: &Signals| {
            let _ = sender.send(signals.wait(LONG));
            let begun = Instant::now();
            signals.sleep(Duration::from_millis(20));
            let _ = sender.send(begun.elapsed() >= Duration::from_millis(20));
        };
        let background = Background::start("test", work).expect("a thread");
        let wake = background.waker();
        wake();
        assert_eq!(receiver.recv(), Ok(true));
        wake();
        assert_eq!(receiver.recv(), Ok(true));
    }

    #[test]
    fn a_thread_that_hangs_is_left_behind_at_the_deadline() {
        let (sender, receiver) = mpsc::channel::<()>();
        let work = move |_: &Signals| {
            let _ = receiver.recv();
        };
        let background = Background::start("test", work).expect("a thread");
        assert!(!background.stop(Instant::now()));
        drop(sender);
        assert!(background.stop(soon()));
    }
}
