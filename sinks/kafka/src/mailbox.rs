//! Where delivery reports wait for the writer that sent the records: one mailbox a writer, one slot
//! a record, one wake-up a batch.
//!
//! librdkafka hands back, with each report, the number that went out with the record: a [`Ticket`].
//! No ticket is given twice while its mailbox lives, so a report that comes late is never taken for
//! another record's.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

const _: () = assert!(
    usize::BITS == 64,
    "a ticket is handed through a pointer of 64 bits"
);

/// So many low bits are the number within a mailbox: enough for 8 years at a million records a
/// second.
const NUMBER_BITS: u32 = 48;

/// What librdkafka carries with a record: the mailbox, and the number of the record there.
pub(crate) type Ticket = usize;

/// What librdkafka said of a record, if it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
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
    /// A slot for each ticket from the oldest without a report on.
    slots: VecDeque<Slot>,
    /// Slots that are awaited and have no report.
    missing: usize,
    interrupted: bool,
}

pub(crate) struct Mailbox {
    index: usize,
    state: Mutex<State>,
    wake: Condvar,
}

impl Mailbox {
    /// Gives out `count` tickets of records that are about to be sent, and awaits them.
    pub(crate) fn issue(&self, count: usize, now: Instant) -> usize {
        let mut state = self.lock();
        let number = state.first + state.slots.len();
        state.slots.extend((0..count).map(|_| Slot {
            report: Report::Pending,
            awaited: true,
            sent: now,
        }));
        state.missing += count;
        number
    }

    /// The ticket of a number.
    pub(crate) fn ticket(&self, number: usize) -> Ticket {
        (self.index << NUMBER_BITS) | number
    }

    /// How many slots there are: records without a report, and those sent after the oldest of them.
    pub(crate) fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// What is known of a record that was sent earlier. One without a report is awaited again.
    pub(crate) fn resume(&self, number: usize) -> Report {
        let mut state = self.lock();
        let Some(slot) = state.slot(number) else {
            return Report::Failed(RDKafkaErrorCode::MessageTimedOut);
        };
        let (report, awaited) = (slot.report, slot.awaited);
        slot.awaited = true;
        if report == Report::Pending && !awaited {
            state.missing += 1;
        }
        report
    }

    /// Notes a report. One for a record that nobody knows any more is dropped.
    pub(crate) fn report(&self, number: usize, report: Report) {
        let mut state = self.lock();
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
        let mut state = self.lock();
        loop {
            if state.missing == 0 {
                return Woken::AllReported;
            }
            if std::mem::take(&mut state.interrupted) {
                return Woken::Interrupted;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::DeadlinePassed;
            }
            state = self
                .wake
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Ends a wait early: something has happened that concerns every record on its way.
    fn interrupt(&self) {
        self.lock().interrupted = true;
        self.wake.notify_all();
    }

    /// Hands each number's report to `each`, then forgets all slots but those from the oldest
    /// without a report on. Nothing is awaited any more.
    pub(crate) fn collect(&self, numbers: &[Option<usize>], mut each: impl FnMut(usize, Report)) {
        let mut state = self.lock();
        for (index, number) in numbers.iter().enumerate() {
            let Some(number) = number else { continue };
            if let Some(slot) = state.slot(*number) {
                slot.awaited = false;
                each(index, slot.report);
            }
        }
        state.forget();
    }

    /// Gives up on records sent before `before` that still have no report. librdkafka reports every
    /// record in the end; this is for the case that it ever does not.
    pub(crate) fn give_up(&self, before: Instant) {
        let mut state = self.lock();
        for slot in &mut state.slots {
            if slot.sent < before && slot.report == Report::Pending {
                slot.report = Report::Failed(RDKafkaErrorCode::MessageTimedOut);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn slot(&mut self, number: usize) -> Option<&mut Slot> {
        let index = number.checked_sub(self.first)?;
        self.slots.get_mut(index)
    }

    fn forget(&mut self) {
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

/// All mailboxes of a sink. Producers come and go; the mailboxes stay.
#[derive(Default)]
pub(crate) struct Mailboxes {
    all: RwLock<Vec<Arc<Mailbox>>>,
    /// Those whose writer is gone. The next writer goes on with their numbers, so that no old
    /// report fits it.
    free: Mutex<Vec<Arc<Mailbox>>>,
}

impl Mailboxes {
    pub(crate) fn open(&self) -> Arc<Mailbox> {
        if let Some(mailbox) = self.free().pop() {
            return mailbox;
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mailbox = Arc::new(Mailbox {
            index: all.len(),
            state: Mutex::default(),
            wake: Condvar::default(),
        });
        all.push(Arc::clone(&mailbox));
        mailbox
    }

    pub(crate) fn close(&self, mailbox: Arc<Mailbox>) {
        mailbox.collect(&[], |_, _| ());
        self.free().push(mailbox);
    }

    /// Takes a report to its mailbox.
    pub(crate) fn report(&self, ticket: Ticket, report: Report) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = all.get(ticket >> NUMBER_BITS) {
            mailbox.report(ticket & ((1 << NUMBER_BITS) - 1), report);
        }
    }

    pub(crate) fn interrupt(&self) {
        for mailbox in self
            .all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            mailbox.interrupt();
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Arc<Mailbox>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long after its own timeout a record's report may come before it is given up.
pub(crate) const REPORT_SLACK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    fn collected(mailbox: &Mailbox, numbers: &[usize]) -> Vec<Report> {
        let mut reports = Vec::new();
        let numbers: Vec<_> = numbers.iter().copied().map(Some).collect();
        mailbox.collect(&numbers, |_, report| reports.push(report));
        reports
    }

    #[test]
    fn a_wait_ends_when_the_last_awaited_report_is_in() {
        let boxes = Mailboxes::default();
        let mailbox = boxes.open();
        let now = Instant::now();
        let first = mailbox.issue(2, now);
        boxes.report(mailbox.ticket(first + 1), Report::Delivered);
        assert_eq!(mailbox.wait(now), Woken::DeadlinePassed);
        let failed = Report::Failed(RDKafkaErrorCode::MessageTimedOut);
        std::thread::scope(|scope| {
            scope.spawn(|| boxes.report(mailbox.ticket(first), failed));
            assert_eq!(mailbox.wait(now + SOON), Woken::AllReported);
        });
        assert_eq!(
            collected(&mailbox, &[first, first + 1]),
            [failed, Report::Delivered]
        );
        assert_eq!(mailbox.len(), 0);
    }

    #[test]
    fn a_late_report_counts_for_its_own_record_only() {
        let boxes = Mailboxes::default();
        let mailbox = boxes.open();
        let now = Instant::now();
        let old = mailbox.issue(1, now);
        assert_eq!(collected(&mailbox, &[old]), [Report::Pending]);
        let new = mailbox.issue(1, now);
        boxes.report(mailbox.ticket(old), Report::Delivered);
        assert_eq!(mailbox.wait(now), Woken::DeadlinePassed);
        assert_eq!(mailbox.resume(old), Report::Delivered);
        assert_eq!(collected(&mailbox, &[new]), [Report::Pending]);
        assert_eq!(mailbox.len(), 1);
        boxes.report(mailbox.ticket(old), Report::Delivered);
        assert_eq!(collected(&mailbox, &[new]), [Report::Pending]);
    }

    #[test]
    fn a_record_on_its_way_can_be_awaited_again() {
        let boxes = Mailboxes::default();
        let mailbox = boxes.open();
        let now = Instant::now();
        let number = mailbox.issue(1, now);
        assert_eq!(collected(&mailbox, &[number]), [Report::Pending]);
        assert_eq!(mailbox.wait(now), Woken::AllReported);
        assert_eq!(mailbox.resume(number), Report::Pending);
        assert_eq!(mailbox.resume(number), Report::Pending);
        assert_eq!(mailbox.wait(now), Woken::DeadlinePassed);
        boxes.report(mailbox.ticket(number), Report::Delivered);
        assert_eq!(mailbox.wait(now), Woken::AllReported);
    }

    #[test]
    fn a_writer_that_takes_over_a_mailbox_gets_none_of_the_old_reports() {
        let boxes = Mailboxes::default();
        let mailbox = boxes.open();
        let now = Instant::now();
        let old = mailbox.ticket(mailbox.issue(1, now));
        boxes.close(mailbox);
        let mailbox = boxes.open();
        let new = mailbox.issue(1, now);
        assert_ne!(mailbox.ticket(new), old);
        boxes.report(old, Report::Delivered);
        assert_eq!(collected(&mailbox, &[new]), [Report::Pending]);
    }

    #[test]
    fn an_interruption_ends_a_wait_once() {
        let boxes = Mailboxes::default();
        let mailbox = boxes.open();
        let now = Instant::now();
        let number = mailbox.issue(1, now);
        boxes.interrupt();
        assert_eq!(mailbox.wait(now + SOON), Woken::Interrupted);
        assert_eq!(mailbox.wait(now), Woken::DeadlinePassed);
        mailbox.give_up(now + SOON);
        assert!(matches!(mailbox.resume(number), Report::Failed(_)));
    }
}
