//! The books of one topic. Each accepted record is in flight, in the backlog of the topic's journal,
//! or has ended in one way:
//!
//! ```text
//! accepted = delivered + dead-lettered + rejected + undelivered + damaged + backlog + in flight
//! ```
//!
//! The two sides are counted apart. A request counts as accepted before a worker can see it; workers
//! tell how many records they have taken, how these ended, and how many they hold; the journal counts
//! the ends of its own, and its cursor says what its backlog is. So a record that is lost, or that
//! ends twice, shows as a difference.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use iem_journal::Progress;
use parking_lot::Mutex;

/// The records that a worker, or the writer of a journal, has taken, and the ends of those that have
/// ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Taken from the channel.
    pub(super) taken: usize,
    pub(super) delivered: usize,
    pub(super) rejected: usize,
    /// Answered 503.
    pub(super) undelivered: usize,
    /// Delivered after its answer, which was 503; no part of the sum.
    pub(super) late: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.taken += more.taken;
        self.delivered += more.delivered;
        self.rejected += more.rejected;
        self.undelivered += more.undelivered;
        self.late += more.late;
    }
}

/// The books of one topic.
#[derive(Default)]
pub(super) struct Books {
    /// The records that the topic's journal has had when it was opened.
    journaled_before: u64,
    accepted: AtomicU64,
    told: Mutex<Told>,
}

/// All that the topic's workers have told.
#[derive(Default)]
struct Told {
    tally: Tally,
    /// The records that workers hold, and that are not answered.
    held: usize,
}

/// The sums of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Taken by the queue, or by the journal in its earlier runs.
    pub accepted: u64,
    /// Taken by the sink.
    pub delivered: u64,
    /// Never to be taken by the sink, and kept by the journal's forwarder.
    pub dead_lettered: u64,
    /// Never to be taken by the sink, and answered so.
    pub rejected: u64,
    /// Answered 503.
    pub undelivered: u64,
    /// Lost by damage to the journal's files.
    pub damaged: u64,
    /// In the journal, and not settled.
    pub backlog: u64,
    /// Neither answered nor in the journal.
    pub in_flight: u64,
    /// Delivered after an answer of 503; they count as undelivered.
    pub late: u64,
}

impl Balance {
    /// Returns the accepted records of which the books do not know the place or the end; below zero
    /// if they know more than were accepted. It is 0 unless the gateway is at fault.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let known = self.delivered
            + self.dead_lettered
            + self.rejected
            + self.undelivered
            + self.damaged
            + self.backlog
            + self.in_flight;
        self.accepted.cast_signed() - known.cast_signed()
    }
}

impl Books {
    /// Returns the books of a topic whose journal, if it has one, has this progress.
    pub(super) fn new(journal: Option<&Progress>) -> Self {
        Self {
            journaled_before: journal.map_or(0, |journal| journal.balance().0.accepted),
            ..Self::default()
        }
    }

    /// Counts records that are about to be sent to a worker.
    pub(super) fn accept(&self, records: usize) {
        self.accepted.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Counts records that are rejected at once.
    pub(super) fn reject(&self, records: usize) {
        self.accept(records);
        let tally = Tally {
            taken: records,
            rejected: records,
            ..Tally::default()
        };
        self.tell(tally, 0, 0);
    }

    /// Takes back that records were accepted: there is no worker for them.
    pub(super) fn take_back(&self, records: usize) {
        self.accepted.fetch_sub(records as u64, Ordering::Relaxed);
    }

    /// Notes what a worker has taken and settled since it told before, and that it now holds `held`
    /// records in place of `held_before`.
    pub(super) fn tell(&self, tally: Tally, held_before: usize, held: usize) {
        let mut told = self.told.lock();
        told.tally += tally;
        told.held = told.held + held - held_before;
    }

    /// Notes that records have left the queue for the journal. Nobody reads the books until the
    /// returned guard is dropped, when the journal has counted them.
    pub(super) fn journal(&self, records: usize) -> impl Drop + use<'_> {
        let mut told = self.told.lock();
        told.tally.taken += records;
        told
    }

    /// Returns the sums of this moment.
    pub(super) fn balance(&self, journal: Option<&Progress>) -> Balance {
        let told = self.told.lock();
        let (counts, backlog) = journal.map(Progress::balance).unwrap_or_default();
        let accepted = self.accepted.load(Ordering::Relaxed);
        let Tally {
            taken,
            delivered,
            rejected,
            undelivered,
            late,
        } = told.tally;
        Balance {
            accepted: self.journaled_before + accepted,
            delivered: counts.delivered + delivered as u64,
            dead_lettered: counts.dead_lettered,
            rejected: rejected as u64,
            undelivered: undelivered as u64,
            damaged: counts.damaged,
            backlog,
            in_flight: accepted.saturating_sub(taken as u64) + told.held as u64,
            late: late as u64,
        }
    }
}
