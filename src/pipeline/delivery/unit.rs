//! One unit of the backend, a Kafka partition for example: its records that wait, those in flight,
//! and those that failed.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::load::Load;

/// The wait before the first retry. It doubles up to [`BACKOFF_MAX`]; each wait is jittered to
/// between half and all of it.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The most keys of a unit that are known one by one to be ahead of a failed record.
const AHEAD_MAX: usize = 4096;

/// The records that were handed over together.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    pub(super) sent: Instant,
    pub(super) records: usize,
    open: usize,
    /// The records at its head that have settled for good.
    settled_in_order: usize,
    /// Whether a record was delivered.
    pub(super) delivered: bool,
}

/// One unit.
#[derive(Default)]
pub(super) struct Unit {
    /// Keys of records to hand over, in the order in which they came.
    pub(super) waiting: VecDeque<usize>,
    /// Keys of records that failed and may be handed over again.
    pub(super) failed: Vec<usize>,
    /// All of the unit's records.
    pub(super) held: Load,
    /// The bytes that requests with records of this unit keep in memory.
    pub(super) pinned_bytes: usize,
    /// The number of the last request that was counted there.
    pub(super) last_request: u64,
    pub(super) in_flight: Load,
    /// The epoch of what is in flight.
    pub(super) epoch: u64,
    /// The end of the wait before the next retry.
    pub(super) retry_at: Option<Instant>,
    /// Zero unless records failed and none has been delivered since.
    backoff: Duration,
    flights: VecDeque<Flight>,
    /// The number of the first of `flights`.
    first_flight: u64,
    /// The hashes of keys with a record that was delivered before an earlier record of the unit was
    /// settled, with that record's number.
    ahead: HashMap<u32, u64>,
    /// The round of a forwarder in which a record was refused; 0 if none ever was.
    pub(super) refused_round: u64,
    /// The number of the latest record that was delivered when `ahead` was full: every key counts as
    /// ahead up to there.
    all_ahead: u64,
}

impl Unit {
    /// Begins a flight of `records` records, and returns its number.
    pub(super) fn depart(&mut self, records: usize, epoch: u64, now: Instant) -> u64 {
        self.epoch = epoch;
        self.retry_at = None;
        self.flights.push_back(Flight {
            sent: now,
            records,
            open: records,
            settled_in_order: 0,
            delivered: false,
        });
        self.first_flight + self.flights.len() as u64 - 1
    }

    /// Notes that the record at `position` of a flight settled for good, or failed. Returns the
    /// flight if that ends it, and whether an earlier record is still in flight or has failed.
    pub(super) fn arrive(
        &mut self,
        (flight, position): (u64, usize),
        is_final: bool,
        is_delivered: bool,
    ) -> (Option<Flight>, bool) {
        let index = usize::try_from(flight - self.first_flight).unwrap_or(usize::MAX);
        let is_first = index == 0;
        let flight = &mut self.flights[index];
        let is_in_order = is_first && position == flight.settled_in_order;
        if is_in_order && is_final {
            flight.settled_in_order += 1;
        }
        flight.open -= 1;
        flight.delivered |= is_delivered;
        let ended = (flight.open == 0).then_some(*flight);
        while self.flights.front().is_some_and(|first| first.open == 0) {
            self.flights.pop_front();
            self.first_flight += 1;
        }
        (ended, !is_in_order || !self.failed.is_empty())
    }

    /// Notes a delivery. The next failure waits the shortest time again.
    pub(super) fn delivered(&mut self) {
        self.backoff = Duration::ZERO;
    }

    /// Notes that the record `number`, of the key with this hash, was delivered while an earlier
    /// record was in flight.
    pub(super) fn went_ahead(&mut self, key_hash: u32, number: u64) {
        if self.ahead.len() >= AHEAD_MAX && !self.ahead.contains_key(&key_hash) {
            self.all_ahead = number.max(self.all_ahead);
            return;
        }
        let latest = self.ahead.entry(key_hash).or_default();
        *latest = number.max(*latest);
    }

    /// Returns whether a later record of the key has been delivered.
    pub(super) fn is_overtaken(&self, key_hash: u32, number: u64) -> bool {
        let latest = self.ahead.get(&key_hash).copied().unwrap_or_default();
        latest.max(self.all_ahead) > number
    }

    /// Returns whether nothing has failed and no key is ahead.
    pub(super) fn is_calm(&self) -> bool {
        self.failed.is_empty() && self.ahead.is_empty() && self.all_ahead == 0
    }

    /// Forgets which keys are ahead, once nothing earlier is left that could fail.
    pub(super) fn forget_ahead(&mut self) {
        self.ahead.clear();
        self.all_ahead = 0;
    }

    /// Begins the wait before the failed records go again, unless it has begun. `jitter` is between 0
    /// and 1.
    pub(super) fn back_off(&mut self, now: Instant, jitter: f64) {
        if self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.backoff = (self.backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.retry_at = Some(now + self.backoff.mul_f64(f64::midpoint(1.0, jitter)));
    }

    /// Returns whether records failed and none has been delivered since.
    pub(super) fn is_failing(&self) -> bool {
        !self.backoff.is_zero() && !self.held.is_zero()
    }

    /// Returns the time at which the oldest flight began.
    pub(super) fn oldest_flight(&self) -> Option<Instant> {
        self.flights.front().map(|flight| flight.sent)
    }

    /// Returns the time at which the last flight began, if something of it is still in flight.
    pub(super) fn last_open_flight(&self) -> Option<Instant> {
        let last = self.flights.back()?;
        (last.open > 0).then_some(last.sent)
    }

    /// Returns whether what is in flight since before `before` is not settled, or records fail.
    pub(super) fn is_stalled(&self, before: Instant) -> bool {
        self.is_failing() || self.oldest_flight().is_some_and(|sent| sent < before)
    }
}
