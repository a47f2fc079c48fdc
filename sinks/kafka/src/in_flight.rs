//! Records in flight: handed to librdkafka, and not yet reported on. Each writer has a window with
//! one slot a record, and is woken once a batch.
//!
//! librdkafka returns, with each delivery report, the [`DeliveryToken`] that went out with the
//! record. No token is issued twice while its window lives, so a late report is never taken for
//! that of another record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use rdkafka::error::RDKafkaErrorCode;

#[cfg(test)]
mod tests;

const _: () = assert!(
    usize::BITS == 64,
    "a delivery token is passed as a pointer of 64 bits"
);

/// The low bits of a token that hold the record's number in its window: enough for 8 years at a
/// million records a second.
const NUMBER_BITS: u32 = 48;

/// How long after its own timeout a record's report may come before the record is given up.
pub(crate) const REPORT_SLACK: Duration = Duration::from_secs(5);

/// The number that librdkafka carries with a record: the window's index, and the record's number
/// in the window.
pub(crate) type DeliveryToken = usize;

/// The state of a record in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// No report yet.
    Pending,
    Delivered,
    Failed(RDKafkaErrorCode),
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    AllReported,
    Interrupted,
    DeadlinePassed,
}

struct Slot {
    report: Report,
    awaited: bool,
    sent: Instant,
}

#[derive(Default)]
struct State {
    /// The number of the first slot.
    first: usize,
    /// A slot for each record from the oldest without a report on.
    slots: VecDeque<Slot>,
    /// Awaited slots without a report.
    missing: usize,
    interrupted: bool,
}

/// The records of one writer that are in flight.
pub(crate) struct Window {
    index: usize,
    state: Mutex<State>,
    wake: Condvar,
}

impl Window {
    /// Adds `count` records that are about to be sent, and awaits them. Returns the first one's
    /// number.
    pub(crate) fn add(&self, count: usize, now: Instant) -> usize {
        let mut state = self.state.lock();
        let number = state.first + state.slots.len();
        state.slots.extend((0..count).map(|_| Slot {
            report: Report::Pending,
            awaited: true,
            sent: now,
        }));
        state.missing += count;
        number
    }

    /// Returns the token of a record.
    pub(crate) fn token(&self, number: usize) -> DeliveryToken {
        (self.index << NUMBER_BITS) | number
    }

    /// Counts the records without a report, and those sent after the oldest of them.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().slots.len()
    }

    /// Returns the state of a record that was sent earlier. One without a report is awaited again.
    pub(crate) fn resume(&self, number: usize) -> Report {
        let mut state = self.state.lock();
        let Some(slot) = state.slot(number) else {
            return Report::Failed(RDKafkaErrorCode::MessageTimedOut);
        };
        let report = slot.report;
        let was_awaited = std::mem::replace(&mut slot.awaited, true);
        if report == Report::Pending && !was_awaited {
            state.missing += 1;
        }
        report
    }

    /// Notes a report. One for a record that has left the window is dropped.
    pub(crate) fn report(&self, number: usize, report: Report) {
        let mut state = self.state.lock();
        let Some(slot) = state.slot(number) else {
            return;
        };
        if slot.report != Report::Pending {
            return;
        }
        slot.report = report;
        if slot.awaited {
            state.missing -= 1;
            if state.missing == 0 {
                self.wake.notify_all();
            }
        }
    }

    /// Waits for the report of every awaited record.
    pub(crate) fn wait(&self, deadline: Instant) -> Woken {
        let mut state = self.state.lock();
        loop {
            if state.missing == 0 {
                return Woken::AllReported;
            }
            if std::mem::take(&mut state.interrupted) {
                return Woken::Interrupted;
            }
            if Instant::now() >= deadline {
                return Woken::DeadlinePassed;
            }
            self.wake.wait_until(&mut state, deadline);
        }
    }

    /// Ends a wait early, after an event that concerns every record in flight.
    fn interrupt(&self) {
        self.state.lock().interrupted = true;
        self.wake.notify_all();
    }

    /// Passes each number's report to `each`, then drops the slots before the oldest one without a
    /// report. No record is awaited any more.
    pub(crate) fn collect(&self, numbers: &[Option<usize>], mut each: impl FnMut(usize, Report)) {
        let mut state = self.state.lock();
        for (index, number) in numbers.iter().enumerate() {
            let Some(number) = number else { continue };
            if let Some(slot) = state.slot(*number) {
                slot.awaited = false;
                each(index, slot.report);
            }
        }
        state.release();
    }

    /// Gives up the records sent before `before` that still have no report. librdkafka reports
    /// every record in the end; this bounds the memory if it ever does not.
    pub(crate) fn give_up(&self, before: Instant) {
        let mut state = self.state.lock();
        for slot in &mut state.slots {
            if slot.sent < before && slot.report == Report::Pending {
                slot.report = Report::Failed(RDKafkaErrorCode::MessageTimedOut);
            }
        }
    }
}

impl State {
    fn slot(&mut self, number: usize) -> Option<&mut Slot> {
        let index = number.checked_sub(self.first)?;
        self.slots.get_mut(index)
    }

    fn release(&mut self) {
        self.missing = 0;
        self.interrupted = false;
        for slot in &mut self.slots {
            slot.awaited = false;
        }
        while self
            .slots
            .front()
            .is_some_and(|slot| slot.report != Report::Pending)
        {
            self.slots.pop_front();
            self.first += 1;
        }
    }
}

/// The windows of all writers of a sink. Producers are replaced; the windows stay.
#[derive(Default)]
pub(crate) struct InFlight {
    windows: RwLock<Vec<Arc<Window>>>,
    /// Windows whose writer is gone. The next writer continues their numbers, so that no old report
    /// fits one of its records.
    free: Mutex<Vec<Arc<Window>>>,
}

impl InFlight {
    /// Opens a window for one writer.
    pub(crate) fn open(&self) -> Arc<Window> {
        if let Some(window) = self.free.lock().pop() {
            return window;
        }
        let mut windows = self.windows.write();
        let window = Arc::new(Window {
            index: windows.len(),
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        windows.push(Arc::clone(&window));
        window
    }

    /// Takes back the window of a writer that ends.
    pub(crate) fn close(&self, window: Arc<Window>) {
        window.collect(&[], |_, _| ());
        self.free.lock().push(window);
    }

    /// Passes a report to its window.
    pub(crate) fn report(&self, token: DeliveryToken, report: Report) {
        if let Some(window) = self.windows.read().get(token >> NUMBER_BITS) {
            window.report(token & ((1 << NUMBER_BITS) - 1), report);
        }
    }

    /// Ends every writer's wait early.
    pub(crate) fn interrupt(&self) {
        for window in self.windows.read().iter() {
            window.interrupt();
        }
    }
}
