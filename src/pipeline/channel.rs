//! The way to one worker: submissions in the order in which they came, and the worker's sleep.
//!
//! To wake a thread costs more than to hand it a record. Who finds the worker asleep is given an
//! [`Alarm`], to be rung once everything else that is ready has been seen to: until then others add
//! to what the worker will find. An alarm rings when it is dropped, so none is forgotten.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;

use super::submission::Submission;

/// Submissions for which memory is kept when nothing waits.
const KEPT: usize = 1024;

/// Turns of the caller's thread for which alarms wait, however many submissions each brings.
const TURNS_MAX: usize = 8;

/// A lane's two ends. Its room is bounded by those who send.
pub(super) fn lane() -> (Sender, Receiver) {
    let state = State {
        submitted: VecDeque::new(),
        worker: Worker::Awake,
        open: true,
    };
    let lane = Arc::new(Lane {
        state: Mutex::new(state),
        bell: Condvar::new(),
    });
    (
        Sender(Arc::clone(&lane)),
        Receiver {
            lane,
            taken: VecDeque::new(),
        },
    )
}

struct Lane {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    submitted: VecDeque<Submission>,
    worker: Worker,
    /// Both ends are there.
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Worker {
    Awake,
    Asleep,
    /// Asleep, and somebody holds the alarm.
    Called,
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().open = false;
        self.bell.notify_one();
    }
}

/// The end that requests submit at. The worker ends once it is dropped and what was submitted is
/// settled.
pub(super) struct Sender(Arc<Lane>);

impl Sender {
    /// Adds a submission, behind all others; drops it where the worker is gone.
    pub(super) fn send(&self, submission: Submission) -> Result<Option<Alarm>, Closed> {
        let mut state = self.0.lock();
        if !state.open {
            return Err(Closed);
        }
        state.submitted.push_back(submission);
        if state.worker == Worker::Asleep {
            state.worker = Worker::Called;
            return Ok(Some(Alarm(Arc::clone(&self.0))));
        }
        Ok(None)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The worker is gone.
pub(super) struct Closed;

/// Wakes a worker when it is dropped.
#[must_use = "dropped at once it wakes the worker for a single submission"]
pub(super) struct Alarm(Arc<Lane>);

/// Rings the alarms once what else is ready on this thread adds nothing any more: its records join
/// the batches.
pub(super) async fn ring(alarms: SmallVec<[Alarm; 1]>) {
    if alarms.is_empty() {
        return;
    }
    let mut before = alarms.len();
    for _ in 0..TURNS_MAX {
        tokio::task::yield_now().await;
        let submitted = alarms
            .iter()
            .map(|alarm| alarm.0.lock().submitted.len())
            .sum();
        if submitted <= before {
            break;
        }
        before = submitted;
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.worker == Worker::Called {
            state.worker = Worker::Awake;
            drop(state);
            self.0.bell.notify_one();
        }
    }
}

/// The worker's end.
pub(super) struct Receiver {
    lane: Arc<Lane>,
    taken: VecDeque<Submission>,
}

impl Receiver {
    /// The next submission, which stays where it is. Waits for one until `until`, or as long as it
    /// takes; none: it did not come, or none will come any more.
    pub(super) fn peek(&mut self, until: Option<Instant>) -> Option<&Submission> {
        if self.taken.is_empty() {
            self.take_all(until);
        }
        self.taken.front()
    }

    /// Takes the submission that was [looked at](Self::peek).
    pub(super) fn pop(&mut self) -> Option<Submission> {
        self.taken.pop_front()
    }

    fn take_all(&mut self, until: Option<Instant>) {
        self.taken.shrink_to(KEPT);
        let mut state = self.lane.lock();
        while state.submitted.is_empty() && state.open {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            if state.worker == Worker::Awake {
                state.worker = Worker::Asleep;
            }
            state = match left {
                None => self
                    .lane
                    .bell
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.lane
                        .bell
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        state.worker = Worker::Awake;
        mem::swap(&mut self.taken, &mut state.submitted);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.lane.close();
        // Nobody will settle them: their requests hear of that as their replies are dropped.
        let abandoned = mem::take(&mut self.lane.lock().submitted);
        drop(abandoned);
    }
}
