//! The bounded channel to one worker, and how the worker sleeps while the channel is empty.
//!
//! Waking a thread costs more than handing it a record. A sender that finds the worker parked
//! receives a [`WakeGuard`] and holds it while other ready tasks queue their records too, so that
//! one wake-up serves all of them. A dropped guard wakes the worker, so no wake-up is ever lost.

#[cfg(test)]
mod models;
mod parking;

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Instant;

use crossbeam_utils::sync::{Parker, Unparker};
use smallvec::SmallVec;

pub(super) use self::parking::NotSent;
use self::parking::Primitives;
use super::submission::Submission;

/// The most turns of its thread for which a request holds its wake guards.
const TURNS_MAX: usize = 8;

pub(super) type Sender = parking::Sender<Real>;
pub(super) type Receiver = parking::Receiver<Real>;
pub(super) type WakeGuard = parking::WakeGuard<Real>;

/// Creates a channel for at most `capacity` submissions.
pub(super) fn channel(capacity: usize) -> (Sender, Receiver) {
    let (submissions, queued) = crossbeam_channel::bounded(capacity);
    let parker = Parker::new();
    let real = Real {
        submissions,
        queued,
        unparker: parker.unparker().clone(),
    };
    parking::ends(real, parker)
}

/// A crossbeam channel, and the parking of a real thread.
pub(super) struct Real {
    /// Boxed, because a channel allocates all of its slots at once.
    submissions: crossbeam_channel::Sender<Box<Submission>>,
    /// The same channel's receiving end. A sender uses it to drop what a worker that has ended will
    /// never take.
    queued: crossbeam_channel::Receiver<Box<Submission>>,
    unparker: Unparker,
}

impl Primitives for Real {
    type Submission = Submission;
    type Parker = Parker;
    type Flag = AtomicBool;

    fn try_push(&self, submission: Submission) -> Result<(), NotSent> {
        self.submissions
            .try_send(Box::new(submission))
            .map_err(|_| NotSent)
    }

    fn try_pop(&self) -> Option<Submission> {
        self.queued.try_recv().ok().map(|submission| *submission)
    }

    fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    fn park(parker: &Parker, until: Option<Instant>) {
        match until {
            None => parker.park(),
            Some(until) => parker.park_deadline(until),
        }
    }

    fn unpark(&self) {
        self.unparker.unpark();
    }

    fn load(flag: &AtomicBool, ordering: Ordering) -> bool {
        flag.load(ordering)
    }

    fn store(flag: &AtomicBool, is_set: bool, ordering: Ordering) {
        flag.store(is_set, ordering);
    }

    fn swap(flag: &AtomicBool, is_set: bool, ordering: Ordering) -> bool {
        flag.swap(is_set, ordering)
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

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
            let queued = guards
                .iter()
                .map(|guard| guard.primitives().queued.len())
                .sum();
            if queued <= before {
                break;
            }
            before = queued;
        }
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;
    use smallvec::smallvec;

    use super::super::budget::Budget;
    use super::*;
    use crate::pipeline::submission::Wanted;
    use crate::shares::Claims;

    #[test]
    fn a_worker_that_ends_drops_what_is_queued_and_takes_nothing_more() {
        let budget = Budget::new(10, 1_000);
        let submission = || {
            let reservation = budget
                .reserve(1, 2, Claims::default())
                .expect("the budget is free");
            Submission::new(
                smallvec![record("acme", "{}")],
                reservation,
                Instant::now(),
                &Wanted::delivered(false),
                Instant::now(),
            )
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
