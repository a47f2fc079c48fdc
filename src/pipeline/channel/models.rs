//! The parking protocol in every order of its steps, and with every value that the memory model
//! lets a thread read. A thread that sleeps for good fails a model as a deadlock.
//!
//! A sender's drop wakes the receiver too, so most models keep the sender until the receiver has
//! ended.

use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::thread::panicking;
use std::time::Instant;

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::parking::{NotSent, Primitives, Receiver, Sender, ends};

/// The most submissions of a model.
const CAPACITY: usize = 2;

/// A queue that promises less than the real one: a receiver learns of a submission from its slot
/// alone, and what its sender did before is visible only to the thread that takes it.
struct Model {
    slots: [Slot; CAPACITY],
    pushed: AtomicUsize,
    popped: AtomicUsize,
    parker: Arc<Token>,
}

#[derive(Default)]
struct Slot {
    is_full: AtomicBool,
    /// The model never switches threads under this lock.
    submission: parking_lot::Mutex<Option<u8>>,
}

/// The permission to return from parking, as crossbeam's `Parker` has it.
#[derive(Default)]
struct Token {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Model {
    fn channel() -> (Sender<Self>, Receiver<Self>) {
        let parker = Arc::<Token>::default();
        let model = Self {
            slots: Default::default(),
            pushed: AtomicUsize::new(0),
            popped: AtomicUsize::new(0),
            parker: Arc::clone(&parker),
        };
        ends(model, parker)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if !panicking() {
            let is_empty = self
                .slots
                .iter()
                .all(|slot| slot.submission.lock().is_none());
            assert!(is_empty, "a submission stayed in the queue");
        }
    }
}

/// Once a model fails, loom takes no further step; what the dropped ends do then is left out.
impl Primitives for Model {
    type Submission = u8;
    type Parker = Arc<Token>;
    type Flag = AtomicBool;

    fn try_push(&self, submission: u8) -> Result<(), NotSent> {
        let slot = &self.slots[self.pushed.fetch_add(1, Relaxed)];
        *slot.submission.lock() = Some(submission);
        slot.is_full.store(true, Release);
        Ok(())
    }

    fn try_pop(&self) -> Option<u8> {
        while !panicking() {
            let index = self.popped.load(Relaxed);
            let slot = self.slots.get(index)?;
            if !slot.is_full.load(Acquire) {
                return None;
            }
            let next = index + 1;
            if self
                .popped
                .compare_exchange(index, next, Relaxed, Relaxed)
                .is_ok()
            {
                return slot.submission.lock().take();
            }
        }
        None
    }

    fn is_empty(&self) -> bool {
        let slot = self.slots.get(self.popped.load(Relaxed));
        slot.is_none_or(|slot| !slot.is_full.load(Relaxed))
    }

    fn park(token: &Arc<Token>, _until: Option<Instant>) {
        let mut is_set = token.is_set.lock().expect("no thread panics");
        while !*is_set {
            is_set = token.changed.wait(is_set).expect("no thread panics");
        }
        *is_set = false;
    }

    fn unpark(&self) {
        if !panicking() {
            *self.parker.is_set.lock().expect("no thread panics") = true;
            self.parker.changed.notify_one();
        }
    }

    fn load(flag: &AtomicBool, ordering: Ordering) -> bool {
        flag.load(ordering)
    }

    /// Swaps, because loom does not order a thread's store after the swap that read the store
    /// before it. A sender would then read its own swap again, and miss that the receiver parks.
    fn store(flag: &AtomicBool, is_set: bool, ordering: Ordering) {
        if !panicking() {
            flag.swap(is_set, ordering);
        }
    }

    fn swap(flag: &AtomicBool, is_set: bool, ordering: Ordering) -> bool {
        flag.swap(is_set, ordering)
    }

    fn fence() {
        if !panicking() {
            fence(Ordering::SeqCst);
        }
    }
}

/// Runs a model in every order of its steps.
fn check(model: impl Fn() + Send + Sync + 'static) {
    Builder::new().check(model);
}

/// Runs a model of three threads in every order of its steps in which a thread that could go on
/// is left at most three times.
fn check_bounded(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Sends, and drops the wake guard. The receiver may take the submission and end before `send` has
/// returned, which is an error then.
fn send(sender: &Sender<Model>, submission: u8) {
    drop(sender.send(submission));
}

/// Takes and waits, as a worker does, until `count` submissions have been taken.
fn take(receiver: &Receiver<Model>, count: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    loop {
        receiver.take(|submission| taken.push(submission));
        if taken.len() == count {
            return taken;
        }
        receiver.wait(None);
    }
}

/// Takes and waits, as a worker does, until the sender has been dropped.
fn take_all(receiver: &Receiver<Model>) -> Vec<u8> {
    let mut taken = Vec::new();
    loop {
        let is_closed = receiver.is_closed();
        receiver.take(|submission| taken.push(submission));
        if is_closed {
            return taken;
        }
        receiver.wait(None);
    }
}

#[test]
fn a_receiver_takes_all_that_is_sent() {
    check(|| {
        let (sender, receiver) = Model::channel();
        let sender = Arc::new(sender);
        let kept = Arc::clone(&sender);
        thread::spawn(move || {
            let guards = [1, 2].map(|submission| sender.send(submission));
            drop(guards);
        });
        assert_eq!(take(&receiver, 2), [1, 2]);
        drop(kept);
    });
}

#[test]
fn a_receiver_takes_what_two_senders_send_at_once() {
    check_bounded(|| {
        let (sender, receiver) = Model::channel();
        let sender = Arc::new(sender);
        for submission in [1, 2] {
            let sender = Arc::clone(&sender);
            thread::spawn(move || send(&sender, submission));
        }
        let mut taken = take(&receiver, 2);
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        drop(sender);
    });
}

#[test]
fn one_of_two_senders_receives_the_guard_of_a_parking() {
    check_bounded(|| {
        let (sender, receiver) = Model::channel();
        let sender = Arc::new(sender);
        let guards = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for submission in [1, 2] {
            let (sender, guards) = (Arc::clone(&sender), Arc::clone(&guards));
            thread::spawn(move || {
                if let Ok(Some(_guard)) = sender.send(submission) {
                    assert_eq!(guards.fetch_add(1, Relaxed), 0, "two guards of one parking");
                }
            });
        }
        receiver.wait(None);
        drop((receiver, sender));
    });
}

#[test]
fn a_receiver_that_has_been_woken_is_not_woken_again() {
    check(|| {
        let (sender, receiver) = Model::channel();
        receiver.waker().wake();
        receiver.wait(None);
        assert!(sender.send(1).is_ok_and(|guard| guard.is_none()));
    });
}

#[test]
fn a_receiver_sees_what_a_sink_announced_and_what_was_sent() {
    check_bounded(|| {
        let (sender, receiver) = Model::channel();
        let sender = Arc::new(sender);
        let kept = Arc::clone(&sender);
        thread::spawn(move || send(&sender, 1));
        let announced = Arc::new(AtomicBool::new(false));
        let (flag, waker) = (Arc::clone(&announced), receiver.waker());
        thread::spawn(move || {
            flag.store(true, Relaxed);
            waker.wake();
        });
        let mut taken = 0;
        loop {
            receiver.take(|_| taken += 1);
            if taken == 1 && announced.load(Relaxed) {
                break;
            }
            receiver.wait(None);
        }
        drop(kept);
    });
}

#[test]
fn a_receiver_ends_after_its_sender_with_all_that_was_sent() {
    check(|| {
        let (sender, receiver) = Model::channel();
        thread::spawn(move || send(&sender, 1));
        assert_eq!(take_all(&receiver), [1]);
    });
}

#[test]
fn a_receiver_ends_with_what_any_thread_sent() {
    check_bounded(|| {
        let (sender, receiver) = Model::channel();
        // The last thread to drop the sender has not sent what the receiver must see.
        let sender = loom::sync::Arc::new(sender);
        let other = sender.clone();
        thread::spawn(move || send(&sender, 1));
        thread::spawn(move || drop(other));
        assert_eq!(take_all(&receiver), [1]);
    });
}

#[test]
fn nothing_stays_queued_after_a_receiver_has_ended() {
    check(|| {
        let (sender, receiver) = Model::channel();
        thread::spawn(move || {
            let _ = sender.send(1);
            let _ = sender.send(2);
        });
        receiver.take(drop);
        drop(receiver);
    });
}
