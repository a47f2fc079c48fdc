//! Records in flight: handed to librdkafka, and not yet reported on. Each writer has a window,
//! where its delivery reports arrive.
//!
//! librdkafka carries a number with each record: the window's index and the delivery token. Tokens
//! of two writers may be equal, so a window whose writer is gone is used again only when nothing of
//! it is in flight.

use std::sync::Arc;
use std::task::Waker;

use iem_sink::DeliveryToken;
use parking_lot::{Mutex, RwLock};
use rdkafka::error::RDKafkaErrorCode;

const _: () = assert!(
    usize::BITS == 64,
    "a window's index and a delivery token are passed as a pointer of 64 bits"
);

/// The most windows: the bits that a token leaves count them.
const WINDOWS_MAX: usize = 1 << (usize::BITS - DeliveryToken::BITS);

/// A delivery report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) token: DeliveryToken,
    /// The reason why the record is not delivered, if it is not.
    pub(crate) failure: Option<RDKafkaErrorCode>,
    /// The number of the producer that the record was handed to.
    pub(crate) producer: u64,
}

/// The reports of one writer that it has not taken yet.
#[derive(Default)]
struct State {
    /// Records without a report.
    in_flight: usize,
    reports: Vec<Report>,
    /// `None` without a writer.
    waker: Option<Waker>,
}

struct Slot {
    index: usize,
    state: Mutex<State>,
}

/// The windows of all writers of a sink. Producers are replaced; the windows stay.
#[derive(Default)]
pub(crate) struct InFlight {
    slots: RwLock<Vec<Arc<Slot>>>,
    /// Slots without a writer and without a record in flight.
    free: Mutex<Vec<Arc<Slot>>>,
}

impl InFlight {
    /// Opens a window for a writer, which is woken through `waker` when reports have come. Returns
    /// `None` if there are too many.
    pub(crate) fn open(self: &Arc<Self>, waker: Waker) -> Option<Window> {
        // No lock is held while the next one is taken.
        let free = self.free.lock().pop();
        let slot = free.or_else(|| self.add_slot())?;
        slot.state.lock().waker = Some(waker);
        Some(Window {
            slot,
            in_flight: Arc::clone(self),
        })
    }

    fn add_slot(&self) -> Option<Arc<Slot>> {
        let mut slots = self.slots.write();
        if slots.len() == WINDOWS_MAX {
            return None;
        }
        let slot = Arc::new(Slot {
            index: slots.len(),
            state: Mutex::default(),
        });
        slots.push(Arc::clone(&slot));
        Some(slot)
    }

    /// Passes a report to the window of the record that librdkafka carried `number` with. Wakes the
    /// writer for the first report that it has not taken.
    pub(crate) fn report(&self, number: usize, failure: Option<RDKafkaErrorCode>, producer: u64) {
        let slots = self.slots.read();
        let Some(slot) = slots.get(number >> DeliveryToken::BITS) else {
            return;
        };
        let mut state = slot.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        let Some(waker) = state.waker.clone() else {
            if state.in_flight == 0 {
                self.free.lock().push(Arc::clone(slot));
            }
            return;
        };
        let is_first = state.reports.is_empty();
        state.reports.push(Report {
            token: token_of(number),
            failure,
            producer,
        });
        drop(state);
        if is_first {
            waker.wake();
        }
    }

    /// Counts the records without a report, those of closed windows included.
    pub(crate) fn count(&self) -> usize {
        let slots = self.slots.read();
        slots.iter().map(|slot| slot.state.lock().in_flight).sum()
    }
}

fn token_of(number: usize) -> DeliveryToken {
    let token = number & ((1 << DeliveryToken::BITS) - 1);
    DeliveryToken(token as u64)
}

/// The records of one writer that are in flight. The window is closed when it is dropped.
pub(crate) struct Window {
    slot: Arc<Slot>,
    in_flight: Arc<InFlight>,
}

impl Window {
    /// Returns the number that librdkafka carries with the record of this token.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a pointer has 64 bits, as is asserted above"
    )]
    pub(crate) fn number(&self, token: DeliveryToken) -> usize {
        (self.slot.index << DeliveryToken::BITS) | token.0 as usize
    }

    /// Counts records that are about to be sent.
    pub(crate) fn add(&self, count: usize) {
        self.slot.state.lock().in_flight += count;
    }

    /// Takes back records that were counted and not sent.
    pub(crate) fn remove(&self, count: usize) {
        self.slot.state.lock().in_flight -= count;
    }

    /// Swaps the reports that have come for an empty list.
    pub(crate) fn take(&self, reports: &mut Vec<Report>) {
        reports.clear();
        std::mem::swap(&mut self.slot.state.lock().reports, reports);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut state = self.slot.state.lock();
        state.waker = None;
        state.reports.clear();
        if state.in_flight == 0 {
            self.in_flight.free.lock().push(Arc::clone(&self.slot));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reports(window: &Window) -> Vec<Report> {
        let mut reports = Vec::new();
        window.take(&mut reports);
        reports
    }

    fn delivered(token: u64) -> Report {
        Report {
            token: DeliveryToken(token),
            failure: None,
            producer: 7,
        }
    }

    #[test]
    fn one_wake_serves_all_reports_until_they_are_taken() {
        let in_flight = Arc::new(InFlight::default());
        let wakes = Arc::new(Count::default());
        let window = in_flight.open(Waker::from(Arc::clone(&wakes))).unwrap();
        let last = (1 << DeliveryToken::BITS) - 1;
        window.add(3);
        for token in [last, 0, 5] {
            in_flight.report(window.number(DeliveryToken(token)), None, 7);
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(reports(&window), [last, 0, 5].map(delivered));
        assert_eq!(reports(&window), []);
        window.add(1);
        in_flight.report(window.number(DeliveryToken(6)), None, 7);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
        assert_eq!(in_flight.count(), 0);
    }

    #[test]
    fn windows_are_apart() {
        let in_flight = Arc::new(InFlight::default());
        let [one, two] = [(); 2].map(|()| in_flight.open(Waker::noop().clone()).unwrap());
        one.add(1);
        two.add(1);
        in_flight.report(two.number(DeliveryToken(3)), None, 7);
        assert_eq!(reports(&one), []);
        assert_eq!(reports(&two), [delivered(3)]);
        assert_eq!(in_flight.count(), 1);
    }

    #[test]
    fn a_later_writer_gets_no_report_of_an_earlier_one() {
        let in_flight = Arc::new(InFlight::default());
        let open = || in_flight.open(Waker::noop().clone()).unwrap();
        let window = open();
        let token = DeliveryToken(1);
        let number = window.number(token);
        window.add(2);
        window.remove(1);
        drop(window);

        let meanwhile = open();
        assert_ne!(meanwhile.number(token), number, "a record is in flight");
        meanwhile.add(1);
        in_flight.report(number, None, 7);
        assert_eq!(reports(&meanwhile), []);
        assert_eq!(in_flight.count(), 1);

        let later = open();
        assert_eq!(later.number(token), number, "the window is free again");
        assert_eq!(reports(&later), []);
    }
}
