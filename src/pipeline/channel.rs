//! The bounded channel to one worker, and how the worker sleeps while the channel is empty.
//!
//! Waking a thread costs more than handing it a record. A sender that finds the worker parked
//! receives a [`WakeGuard`] and holds it while other ready tasks queue their records too, so that
//! one wake-up serves all of them. A dropped guard wakes the worker, so no wake-up is ever lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Instant;

use crossbeam_utils::sync::{Parker, Unparker};
use smallvec::SmallVec;

use super::submission::Submission;

/// The submissions for which memory is kept while none waits.
const KEPT: usize = 1024;

/// The most turns of its thread for which a request holds its wake guards.
const TURNS_MAX: usize = 8;

/// Creates a channel for at most `capacity` submissions.
pub(super) fn channel(capacity: usize) -> (Sender, Receiver) {
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    let parker = Parker::new();
    let shared = Arc::new(Shared {
        submissions: sender,
        queued: receiver,
        unparker: parker.unparker().clone(),
        is_parked: AtomicBool::new(false),
        is_closed: AtomicBool::new(false),
        has_ended: AtomicBool::new(false),
    });
    (
        Sender(Arc::clone(&shared)),
        Receiver {
            shared,
            parker,
            taken: VecDeque::new(),
        },
    )
}

struct Shared {
    /// Boxed, because a channel allocates all of its slots at once.
    submissions: crossbeam_channel::Sender<Box<Submission>>,
    /// The same channel's receiving end. A sender uses it to drop what a worker that has ended will
    /// never take.
    queued: crossbeam_channel::Receiver<Box<Submission>>,
    unparker: Unparker,
    /// The worker is about to park or has parked, and no wake guard has been handed out since.
    is_parked: AtomicBool,
    /// The sender has been dropped.
    is_closed: AtomicBool,
    /// The receiver has been dropped.
    has_ended: AtomicBool,
}

impl Shared {
    /// Drops what is queued. Requests learn from their dropped replies that nothing was delivered.
    fn drop_queued(&self) {
        self.queued.try_iter().for_each(drop);
    }
}

/// The end at which requests submit. The worker ends once the sender has been dropped and all that
/// was submitted is settled.
pub(super) struct Sender(Arc<Shared>);

impl Sender {
    /// Queues a submission without waiting. Returns a wake guard if the worker is parked.
    ///
    /// # Errors
    /// [`NotSent`] if the channel is full or the worker has ended; the submission is dropped.
    pub(super) fn send(&self, submission: Submission) -> Result<Option<WakeGuard>, NotSent> {
        let shared = &self.0;
        shared
            .submissions
            .try_send(Box::new(submission))
            .map_err(|_| NotSent)?;
        // Pairs with the fences of the receiver. Either this thread sees that the worker parks or
        // has ended, or the worker sees the submission before it does.
        fence(Ordering::SeqCst);
        if shared.has_ended.load(Ordering::Relaxed) {
            shared.drop_queued();
            return Err(NotSent);
        }
        let is_parked = shared.is_parked.load(Ordering::Relaxed)
            && shared.is_parked.swap(false, Ordering::Relaxed);
        Ok(is_parked.then(|| WakeGuard(Arc::clone(shared))))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.unparker.unpark();
    }
}

/// The error of a submission that the channel did not take.
#[derive(Debug)]
pub(super) struct NotSent;

/// Wakes a parked worker when it is dropped.
#[must_use = "a guard that is dropped at once wakes the worker for a single submission"]
pub(super) struct WakeGuard(Arc<Shared>);

impl WakeGuard {
    /// Holds the guards until the other tasks that are ready on this thread queue nothing more,
    /// then wakes the workers.
    pub(super) async fn hold(guards: SmallVec<[Self; 1]>) {
        if guards.is_empty() {
            return;
        }
        let mut before = guards.len();
        for _ in 0..TURNS_MAX {
            tokio::task::yield_now().await;
            let queued = guards.iter().map(|guard| guard.0.submissions.len()).sum();
            if queued <= before {
                break;
            }
            before = queued;
        }
    }
}

impl Drop for WakeGuard {
    fn drop(&mut self) {
        self.0.unparker.unpark();
    }
}

/// The worker's end. When it is dropped, all that is queued is dropped, and nothing is queued after.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    parker: Parker,
    taken: VecDeque<Box<Submission>>,
}

impl Receiver {
    /// Returns the next submission and leaves it in its place. Waits for it until `until`, or
    /// without a limit. Returns `None` if none came in time, or once the channel is closed and
    /// empty.
    pub(super) fn peek(&mut self, until: Option<Instant>) -> Option<&Submission> {
        if self.taken.is_empty() {
            self.take_all(until);
        }
        self.taken.front().map(|submission| &**submission)
    }

    /// Takes the submission that [`peek`](Self::peek) returned.
    pub(super) fn pop(&mut self) -> Option<Submission> {
        self.taken.pop_front().map(|submission| *submission)
    }

    /// Takes everything that is queued; waits while nothing is.
    fn take_all(&mut self, until: Option<Instant>) {
        self.taken.shrink_to(KEPT);
        loop {
            let is_closed = self.shared.is_closed.load(Ordering::Acquire);
            self.taken.extend(self.shared.queued.try_iter());
            if !self.taken.is_empty() || is_closed {
                return;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return;
            }
            self.wait(until);
        }
    }

    /// Parks until something is queued, the sender is dropped, or `until`. It may return early.
    fn wait(&self, until: Option<Instant>) {
        self.shared.is_parked.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Sender::send`.
        fence(Ordering::SeqCst);
        if self.shared.queued.is_empty() {
            match until {
                None => self.parker.park(),
                Some(until) => self.parker.park_deadline(until),
            }
        }
        self.shared.is_parked.store(false, Ordering::Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Pairs with the fence in `Sender::send`.
        fence(Ordering::SeqCst);
        self.shared.drop_queued();
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;
    use smallvec::smallvec;

    use super::super::budget::Budget;
    use super::*;

    #[test]
    fn a_worker_that_ends_drops_what_is_queued_and_takes_nothing_more() {
        let budget = Budget::new(10, 1_000);
        let submission = || {
            let reservation = budget.reserve(1, 2).expect("the budget is free");
            Submission::new(smallvec![record("acme", "{}")], reservation, Instant::now())
        };
        let (sender, receiver) = channel(10);
        let (queued, mut reply) = submission();
        assert!(sender.send(queued).is_ok());
        drop(receiver);
        assert!(
            reply
                .try_recv()
                .is_err_and(|error| error == tokio::sync::oneshot::error::TryRecvError::Closed)
        );
        let (late, _reply) = submission();
        assert!(sender.send(late).is_err());
        assert_eq!((budget.records(), budget.bytes()), (0, 0));
    }
}
