//! The state of a running topic, for readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use iem_journal::Status;

use super::books::{Balance, Books};
use super::budget::Budget;
use super::health::Health;
use super::journaled::Shared;
use super::rejected::RejectedTally;
use super::tap::Tap;

/// The state of a topic's journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalVitals {
    /// Records, segments and bytes.
    pub status: Status,
    /// The age of the oldest record that is not settled; zero if there is none.
    pub oldest_age: Duration,
    /// The bound on this age.
    pub age_max: Duration,
    /// The journal takes no more now.
    pub is_full: bool,
    /// The commits that were synced since the start.
    pub commits: u64,
    /// Their records.
    pub committed_records: u64,
    /// The time that writing and syncing them took.
    pub commit_time: Duration,
    /// The records that the sink has taken since the start.
    pub forwarded: u64,
    /// The records that were sent again since the start.
    pub retried: u64,
    /// The records that were not settled at the start.
    pub recovered: u64,
}

/// How full a topic is, and whether its deliveries succeed.
#[derive(Clone)]
pub struct Vitals {
    pub(super) budget: Arc<Budget>,
    pub(super) books: Arc<Books>,
    pub(super) health: Arc<Health>,
    pub(super) journal: Option<Arc<Shared>>,
    pub(super) rejected: Option<Arc<RejectedTally>>,
    pub(super) tap: Arc<Tap>,
}

impl Vitals {
    /// Returns the number of records accepted and not yet settled.
    pub fn records(&self) -> usize {
        self.budget.records()
    }

    /// Returns the bytes of those records' data.
    pub fn bytes(&self) -> usize {
        self.budget.bytes()
    }

    /// Returns the most records at once.
    pub fn records_max(&self) -> usize {
        self.budget.records_max()
    }

    /// Returns the most bytes at once.
    pub fn bytes_max(&self) -> usize {
        self.budget.bytes_max()
    }

    /// Returns the sums of all records that the topic has accepted, and of their ends.
    pub fn balance(&self) -> Balance {
        let journal = self.journal.as_ref();
        self.books
            .balance(journal.map(|journal| journal.progress()))
    }

    /// Returns the state of the topic's journal at `now`, if it has one.
    pub fn journal(&self, now: SystemTime) -> Option<JournalVitals> {
        let shared = self.journal.as_ref()?;
        let counters = shared.counters();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(JournalVitals {
            status: shared.progress().status(),
            oldest_age: shared.oldest_age(now),
            age_max: shared.age_max,
            is_full: shared.is_full(),
            commits: count(&counters.commits),
            committed_records: count(&counters.committed_records),
            commit_time: Duration::from_micros(count(&counters.commit_micros)),
            forwarded: count(&counters.forwarded),
            retried: count(&counters.retried),
            recovered: count(&counters.recovered),
        })
    }

    /// Returns how many records are among the dead letters: those of a journal since it was made,
    /// others since the start.
    pub fn dead_lettered(&self) -> u64 {
        let journal = self.journal.as_ref();
        let of_journal = journal.map(|shared| shared.progress().status().counts.dead_lettered);
        let rejected = self.rejected.as_ref().map(|tally| tally.kept());
        of_journal.or(rejected).unwrap_or_default()
    }

    /// Returns how many records that the sink refused could not be kept, since the start.
    pub fn dead_letters_lost(&self) -> u64 {
        let rejected = self.rejected.as_ref();
        rejected.map(|tally| tally.lost()).unwrap_or_default()
    }

    /// Returns the tap of the topic's records.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Returns whether deliveries succeed at present.
    pub fn health(&self) -> &Health {
        &self.health
    }
}
