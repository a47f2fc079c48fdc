//! The protocol between the two ends of a channel. A worker never sleeps over a submission, one
//! wake-up serves several of them, and none stays queued once the worker has ended.
//!
//! It takes no lock. All that it is built from is behind [`Primitives`], so that the models run it
//! as it is, in every order of its steps.

use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::task::{Wake, Waker};
use std::time::Instant;

/// A queue, a thread's parking, and atomic flags.
pub(in crate::pipeline) trait Primitives: Send + Sync + 'static {
    type Submission;
    /// The receiving thread's part of the parking.
    type Parker;
    /// An atomic flag, unset at first.
    type Flag: Default + Send + Sync;

    /// Queues a submission without waiting.
    ///
    /// # Errors
    /// [`NotSent`] if the queue is full; the submission is dropped.
    fn try_push(&self, submission: Self::Submission) -> Result<(), NotSent>;
    fn try_pop(&self) -> Option<Self::Submission>;
    fn is_empty(&self) -> bool;

    /// Parks until [`unpark`](Self::unpark) is called, or until the time given. One call that comes
    /// before is enough, and several count as one. It may return early.
    fn park(parker: &Self::Parker, until: Option<Instant>);
    fn unpark(&self);

    fn load(flag: &Self::Flag, ordering: Ordering) -> bool;
    fn store(flag: &Self::Flag, is_set: bool, ordering: Ordering);
    fn swap(flag: &Self::Flag, is_set: bool, ordering: Ordering) -> bool;
    /// A sequentially consistent fence.
    fn fence();
}

/// Creates the two ends of a channel.
pub(super) fn ends<P: Primitives>(primitives: P, parker: P::Parker) -> (Sender<P>, Receiver<P>) {
    let shared = Arc::new(Shared {
        primitives,
        is_parked: P::Flag::default(),
        is_closed: P::Flag::default(),
        has_ended: P::Flag::default(),
    });
    (Sender(Arc::clone(&shared)), Receiver { shared, parker })
}

struct Shared<P: Primitives> {
    primitives: P,
    /// The worker is about to park or has parked, and no wake guard has been handed out since.
    is_parked: P::Flag,
    /// The sender has been dropped.
    is_closed: P::Flag,
    /// The receiver has been dropped.
    has_ended: P::Flag,
}

impl<P: Primitives> Shared<P> {
    fn queued(&self) -> impl Iterator<Item = P::Submission> {
        std::iter::from_fn(|| self.primitives.try_pop())
    }

    /// Drops what is queued. Requests learn from their dropped replies that nothing was delivered.
    fn drop_queued(&self) {
        self.queued().for_each(drop);
    }
}

/// Wakes the worker on behalf of a sink.
impl<P: Primitives> Wake for Shared<P> {
    fn wake(self: Arc<Self>) {
        self.primitives.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.primitives.unpark();
    }
}

/// The end at which requests submit. The worker ends once the sender has been dropped and all that
/// was submitted is settled.
pub(in crate::pipeline) struct Sender<P: Primitives>(Arc<Shared<P>>);

impl<P: Primitives> Sender<P> {
    /// Queues a submission without waiting. Returns a wake guard if the worker is parked.
    ///
    /// # Errors
    /// [`NotSent`] if the channel is full or the worker has ended; the submission is dropped.
    pub(in crate::pipeline) fn send(
        &self,
        submission: P::Submission,
    ) -> Result<Option<WakeGuard<P>>, NotSent> {
        let shared = &self.0;
        shared.primitives.try_push(submission)?;
        // Pairs with the fences of the receiver. Either this thread sees that the worker parks or
        // has ended, or the worker sees the submission before it does.
        P::fence();
        if P::load(&shared.has_ended, Relaxed) {
            shared.drop_queued();
            return Err(NotSent);
        }
        let is_parked =
            P::load(&shared.is_parked, Relaxed) && P::swap(&shared.is_parked, false, Relaxed);
        Ok(is_parked.then(|| WakeGuard(Arc::clone(shared))))
    }
}

impl<P: Primitives> Drop for Sender<P> {
    fn drop(&mut self) {
        P::store(&self.0.is_closed, true, Release);
        self.0.primitives.unpark();
    }
}

/// The error of a submission that the channel did not take.
#[derive(Debug)]
pub(in crate::pipeline) struct NotSent;

/// Wakes a parked worker when it is dropped.
#[must_use = "a guard that is dropped at once wakes the worker for a single submission"]
pub(in crate::pipeline) struct WakeGuard<P: Primitives>(Arc<Shared<P>>);

impl<P: Primitives> WakeGuard<P> {
    /// Returns the primitives of the channel to the worker.
    pub(super) fn primitives(&self) -> &P {
        &self.0.primitives
    }
}

impl<P: Primitives> Drop for WakeGuard<P> {
    fn drop(&mut self) {
        self.0.primitives.unpark();
    }
}

/// The worker's end. When it is dropped, all that is queued is dropped, and nothing is queued after.
pub(in crate::pipeline) struct Receiver<P: Primitives> {
    shared: Arc<Shared<P>>,
    parker: P::Parker,
}

impl<P: Primitives> Receiver<P> {
    /// Returns whether the sender has been dropped. What is taken after that is the last.
    pub(in crate::pipeline) fn is_closed(&self) -> bool {
        P::load(&self.shared.is_closed, Acquire)
    }

    /// Passes everything that is queued to `each`, without waiting.
    pub(in crate::pipeline) fn take(&self, each: impl FnMut(P::Submission)) {
        self.shared.queued().for_each(each);
    }

    /// Parks until something is queued, the sender is dropped, the [`waker`](Self::waker) wakes, or
    /// `until`. It may return early.
    pub(in crate::pipeline) fn wait(&self, until: Option<Instant>) {
        P::store(&self.shared.is_parked, true, Relaxed);
        // Pairs with the fence in `Sender::send`.
        P::fence();
        if self.shared.primitives.is_empty() {
            P::park(&self.parker, until);
        }
        P::store(&self.shared.is_parked, false, Relaxed);
    }

    /// Returns a waker that ends the current wait, or else the next one.
    pub(in crate::pipeline) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.shared))
    }
}

impl<P: Primitives> Drop for Receiver<P> {
    fn drop(&mut self) {
        P::store(&self.shared.has_ended, true, Relaxed);
        // Pairs with the fence in `Sender::send`.
        P::fence();
        self.shared.drop_queued();
    }
}
