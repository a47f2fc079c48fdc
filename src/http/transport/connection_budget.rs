//! A budget of all connections. It makes room for newcomers: once few permits are left, idle
//! connections are told to leave.
//!
//! Connections without credentials leave first, then those with credentials; of either, the longest
//! idle first. A connection whose request is being answered stays. One task, the one that accepts,
//! acquires permits and chooses who leaves; permits are given back on any thread.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::telemetry::{Limit, Metrics};

/// The longest wait for connections that were told to leave. They need as long as their threads
/// need to come to them.
const LEAVING_TIME: Duration = Duration::from_secs(1);
/// The most permits that are kept free.
const SPARE_MAX: usize = 256;
/// The share of all permits that is kept free.
const SPARE_SHARE: usize = 64;
/// The share of the spare permits that one choice of connections makes free at least: each choice
/// looks at all of them.
const CHOICE_SHARE: usize = 8;

/// The most requests of one connection that may wait at once for what a client without credentials
/// sends: over HTTP/2 each takes a place that others need.
const WAITING_MAX: usize = 2;

/// The state of a permit that nobody has.
const FREE: u64 = 0;
/// The state while a request is being answered.
const BUSY: u64 = 1;
/// The state of a connection that was told to leave.
const LEAVING: u64 = 2;
/// The state while a request is being answered that has not proved its user, nor has any before.
const BUSY_UNKNOWN: u64 = 3;
/// The state of a connection that is idle since the start, without credentials. Each microsecond
/// adds one, so that states of idle connections rise in the order in which connections stay.
const IDLE: u64 = 4;
/// The bit of a connection with credentials.
const AUTHENTICATED: u64 = 1 << 63;

/// A budget of all connections.
pub(super) struct ConnectionBudget {
    slots: Box<[Slot]>,
    free: Mutex<Vec<usize>>,
    /// Connections that were told to leave and are still there.
    leaving: AtomicUsize,
    /// Connections that their threads have not come to yet.
    beginning: AtomicUsize,
    /// Somebody waits for a permit.
    is_waiting: AtomicBool,
    /// Notified when a permit is given back, a connection stays after all or its thread comes to it,
    /// and, while somebody waits, when one is idle.
    changed: Notify,
    /// Permits that are kept free.
    spare: usize,
    started: Instant,
    metrics: Arc<Metrics>,
}

/// The state of one permit. It has a cache line to itself: its neighbours' connections are on other
/// threads.
#[derive(Default)]
#[repr(align(64))]
struct Slot {
    state: AtomicU64,
    told: AtomicWaker,
}

impl ConnectionBudget {
    pub(super) fn new(max_connections: usize, metrics: &Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            slots: (0..max_connections).map(|_| Slot::default()).collect(),
            free: Mutex::new((0..max_connections).rev().collect()),
            leaving: AtomicUsize::new(0),
            beginning: AtomicUsize::new(0),
            is_waiting: AtomicBool::new(false),
            changed: Notify::new(),
            spare: (max_connections / SPARE_SHARE).min(SPARE_MAX),
            started: Instant::now(),
            metrics: Arc::clone(metrics),
        })
    }

    /// Returns a permit for one more connection, or `None` if none can leave. It waits only if all
    /// permits are taken and a connection may soon leave, and then [`LEAVING_TIME`] at most.
    pub(super) async fn acquire(self: &Arc<Self>) -> Option<ConnectionPermit> {
        self.make_room();
        if let Some(permit) = self.try_acquire() {
            return Some(permit);
        }
        self.is_waiting.store(true, Ordering::SeqCst);
        let acquire = async {
            self.make_room();
            while self.may_soon_have_room() {
                self.changed.notified().await;
                if let Some(permit) = self.try_acquire() {
                    return Some(permit);
                }
                self.make_room();
            }
            self.try_acquire()
        };
        let acquired = tokio::time::timeout(LEAVING_TIME, acquire).await;
        self.is_waiting.store(false, Ordering::SeqCst);
        acquired.ok()?
    }

    /// Whether a connection has been told to leave, or may be told soon: one without credentials,
    /// whose request may come to wait for what its client sends.
    fn may_soon_have_room(&self) -> bool {
        let [leaving, beginning] = [&self.leaving, &self.beginning];
        let is_unknown = |slot: &Slot| slot.state.load(Ordering::Relaxed) == BUSY_UNKNOWN;
        leaving.load(Ordering::Relaxed) + beginning.load(Ordering::Relaxed) > 0
            || self.slots.iter().any(is_unknown)
    }

    /// Returns a permit for one more connection, if one is left.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<ConnectionPermit> {
        let index = self.free.lock().pop()?;
        let permit = ConnectionPermit {
            budget: Arc::clone(self),
            index,
            accepted: Instant::now(),
            has_begun: Cell::new(false),
            is_authenticated: Cell::new(false),
            answering: Cell::new(0),
            waiting: Cell::new(0),
        };
        // Until its thread comes to it, the client may have sent a request.
        self.beginning.fetch_add(1, Ordering::Relaxed);
        permit.busy();
        Some(permit)
    }

    /// Tells connections to leave, if fewer permits are left than are to be kept free behind the
    /// next one.
    fn make_room(&self) {
        let left = self.free.lock().len() + self.leaving.load(Ordering::Relaxed);
        let wanted = (self.spare + 1).saturating_sub(left);
        if wanted > 0 {
            self.tell_to_leave(wanted.max(self.spare / CHOICE_SHARE));
        }
    }

    /// Tells so many connections to leave, or fewer if the others are being answered.
    fn tell_to_leave(&self, count: usize) {
        for (state, index) in self.longest_idle(count) {
            let slot = &self.slots[index];
            // A request may have begun since.
            let told =
                slot.state
                    .compare_exchange(state, LEAVING, Ordering::Relaxed, Ordering::Relaxed);
            if told.is_ok() {
                self.leaving.fetch_add(1, Ordering::Relaxed);
                slot.told.wake();
            }
        }
    }

    /// Returns the states and indexes of the connections that are to leave next.
    fn longest_idle(&self, count: usize) -> Vec<(u64, usize)> {
        // One that has not begun may have no credentials, and leave before those that have.
        let end = if self.beginning.load(Ordering::Relaxed) > 0 {
            AUTHENTICATED
        } else {
            u64::MAX
        };
        let slots = self.slots.iter().enumerate();
        let mut idle: Vec<_> = slots
            .map(|(index, slot)| (slot.state.load(Ordering::Relaxed), index))
            .filter(|(state, _)| (IDLE..end).contains(state))
            .collect();
        if idle.len() > count {
            idle.select_nth_unstable(count);
            idle.truncate(count);
        }
        idle
    }

    fn one_stays(&self) {
        self.leaving.fetch_sub(1, Ordering::Relaxed);
        self.changed.notify_one();
    }
}

/// A permit for one connection, which notes whether it is idle. Dropping it gives it back.
pub(super) struct ConnectionPermit {
    budget: Arc<ConnectionBudget>,
    index: usize,
    accepted: Instant,
    has_begun: Cell<bool>,
    is_authenticated: Cell<bool>,
    /// Requests that are being answered.
    answering: Cell<usize>,
    /// Those of them that wait for what a client without credentials sends.
    waiting: Cell<usize>,
}

impl ConnectionPermit {
    fn slot(&self) -> &Slot {
        &self.budget.slots[self.index]
    }

    /// Notes that the connection's thread has come to it. It has been idle since it was accepted.
    pub(super) fn begin(&self) {
        self.idle(self.accepted);
        self.end_beginning();
    }

    fn end_beginning(&self) {
        if !self.has_begun.replace(true) {
            self.budget.beginning.fetch_sub(1, Ordering::Relaxed);
            self.budget.changed.notify_one();
        }
    }

    /// Notes that a request of the connection has proved its user.
    pub(super) fn authenticate(&self) {
        if !self.is_authenticated.replace(true) && self.answering.get() > 0 {
            self.note_state();
        }
    }

    /// Notes that one more request is being answered, until the guard is dropped.
    pub(super) fn begin_answer(&self) -> Answering<'_> {
        self.answering.set(self.answering.get() + 1);
        self.note_state();
        Answering(self)
    }

    /// Notes that a request that is being answered waits for what a client without credentials
    /// sends, until the guard is dropped. Returns `None` if too many of the connection do.
    pub(super) fn begin_waiting(&self) -> Option<WaitingWithoutCredentials<'_>> {
        if self.waiting.get() >= WAITING_MAX {
            return None;
        }
        self.waiting.set(self.waiting.get() + 1);
        self.note_state();
        Some(WaitingWithoutCredentials {
            permit: self,
            is_over: false,
        })
    }

    /// Notes whether the connection is idle: without a request, or while all its requests wait and
    /// have proved nobody.
    fn note_state(&self) {
        let answering = self.answering.get();
        let all_wait = self.waiting.get() == answering;
        if all_wait && (answering == 0 || !self.is_authenticated.get()) {
            self.idle(Instant::now());
        } else {
            self.busy();
        }
    }

    /// Notes that a request is being answered. A connection that was told to leave stays.
    fn busy(&self) {
        let state = if self.is_authenticated.get() {
            BUSY
        } else {
            BUSY_UNKNOWN
        };
        if self.slot().state.swap(state, Ordering::Relaxed) == LEAVING {
            self.budget.one_stays();
        }
    }

    /// Notes that no request has been answered since this time. A connection that was told to leave
    /// still has to.
    fn idle(&self, since: Instant) {
        let idle = since.saturating_duration_since(self.budget.started);
        // It takes half a million years to reach the other bit.
        let mut state = IDLE + u64::try_from(idle.as_micros()).unwrap_or(0);
        if self.is_authenticated.get() {
            state |= AUTHENTICATED;
        }
        let slot = &self.slot().state;
        // Either the one that waits sees the state, or it is notified.
        let _ = slot.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |before| {
            (before != LEAVING).then_some(state)
        });
        if self.budget.is_waiting.load(Ordering::SeqCst) {
            self.budget.changed.notify_one();
        }
    }

    /// Whether the connection was told to leave.
    pub(super) fn is_leaving(&self) -> bool {
        self.slot().state.load(Ordering::Relaxed) == LEAVING
    }

    /// Waits until the connection is told to leave. Only its own task may poll the future. It
    /// registers its waker each time: who told it before may take one late.
    pub(super) async fn told_to_leave(&self) {
        poll_fn(|context| {
            self.slot().told.register(context.waker());
            if self.is_leaving() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// A request that is being answered.
pub(super) struct Answering<'a>(&'a ConnectionPermit);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answering.set(self.0.answering.get() - 1);
        self.0.note_state();
    }
}

/// A request that waits for what a client without credentials sends.
pub(super) struct WaitingWithoutCredentials<'a> {
    permit: &'a ConnectionPermit,
    is_over: bool,
}

impl WaitingWithoutCredentials<'_> {
    /// Notes that the request goes on to be answered. Else it is dropped, with its connection or
    /// alone.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for WaitingWithoutCredentials<'_> {
    fn drop(&mut self) {
        self.permit.waiting.set(self.permit.waiting.get() - 1);
        if self.is_over {
            self.permit.note_state();
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.end_beginning();
        let slot = self.slot();
        slot.told.take();
        // Both at once: who finds no connection that may leave finds the permit.
        let mut free = self.budget.free.lock();
        let was_leaving = slot.state.swap(FREE, Ordering::Relaxed) == LEAVING;
        free.push(self.index);
        drop(free);
        if was_leaving {
            self.budget.metrics.reached(Limit::Evicted);
            self.budget.leaving.fetch_sub(1, Ordering::Relaxed);
        }
        self.budget.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
