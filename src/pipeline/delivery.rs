//! The records that a worker is delivering: what is handed over next, what is in flight, what is
//! tried again, and which requests are to be answered. It knows no clock, no thread and no sink.
//!
//! Records wait by [`Unit`]. While a batch of a unit is in flight the next one gathers, until it is
//! full, or the first is settled or overdue: so batches grow with the load. A unit may fill no more
//! of the window than it leaves free, so that one that settles nothing leaves the others what they
//! need.

mod entries;
mod hand_over;
mod load;
mod refusal;
mod requests;
mod round_trip;
mod unit;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::{Outcome, Record, Settled};
use smallvec::SmallVec;

pub(super) use load::Load;

use entries::Entries;
use requests::Requests;
use round_trip::RoundTrip;
use unit::Unit;

use super::books::Tally;
use super::rejected::RejectedQueue;
use super::submission::Submission;

/// The limits of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// One batch.
    pub(super) batch: Load,
    /// The units that settle nothing, together.
    pub(super) stalled: Load,
    /// The time of a request from its acceptance to its answer.
    pub(super) deadline: Duration,
    /// The time that a batch waits for more records.
    pub(super) linger: Duration,
    /// Records come from a journal: none is given up.
    pub(super) is_persistent: bool,
}

/// The terms of a writer for the next batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) time_needed: Duration,
    pub(super) epoch: u64,
}

/// The records of one worker.
pub(super) struct Delivery {
    limits: Limits,
    entries: Entries,
    requests: Requests,
    units: Vec<Unit>,
    in_flight: Load,
    round_trip: RoundTrip,
    /// The keys of the batch that was put together last.
    batch: Vec<usize>,
    /// The unit at which the next batch begins.
    turn: usize,
    tally: Tally,
    /// The queue of records that the sink refuses, if they are kept.
    rejected: Option<Arc<RejectedQueue>>,
    /// The records of each flight that has ended, and the time that it took.
    ended: Vec<(usize, Duration)>,
    /// The shortest time of a flight that ended in this pass with a delivery.
    shortest: Option<Duration>,
    jitter: Box<dyn FnMut() -> f64 + Send>,
}

impl Delivery {
    /// `jitter` returns a random number between 0 and 1.
    pub(super) fn new(
        limits: Limits,
        rejected: Option<Arc<RejectedQueue>>,
        jitter: Box<dyn FnMut() -> f64 + Send>,
    ) -> Self {
        Self {
            limits,
            entries: Entries::default(),
            requests: Requests::default(),
            units: vec![Unit::default()],
            in_flight: Load::default(),
            round_trip: RoundTrip::new(limits.deadline / 2),
            batch: Vec::new(),
            turn: 0,
            tally: Tally::default(),
            rejected,
            ended: Vec::new(),
            shortest: None,
            jitter,
        }
    }

    /// Takes a submission. Its records are not delivered at once if one of them is for a unit that
    /// settles nothing, and such units hold their half of the topic already.
    pub(super) fn accept(
        &mut self,
        submission: Submission,
        now: Instant,
        unit_of: impl Fn(&Record) -> usize,
    ) {
        if self.is_refused(&submission, now, &unit_of) {
            let Submission {
                records,
                reply,
                timeline,
                ..
            } = submission;
            self.tally.taken += records.len();
            self.tally.undelivered += records.len();
            if let Some(timeline) = timeline {
                timeline.refused(now);
            }
            reply.end(smallvec::smallvec![Outcome::default(); records.len()]);
            return;
        }
        let bytes = submission.bytes();
        let Submission {
            records,
            deadline,
            mut reply,
            mut timeline,
            ..
        } = submission;
        reply.taken();
        if let Some(timeline) = &mut timeline {
            timeline.taken(records.len(), now);
        }
        self.tally.taken += records.len();
        let request = self.requests.add(records.len(), deadline, reply, timeline);
        let mut keys = SmallVec::<[usize; 1]>::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            let load = Load::one(record.data.len());
            let unit = unit_of(&record);
            let key = self.entries.add(record, request, index, unit);
            let unit = self.unit_mut(unit);
            unit.held += load;
            unit.waiting.push_back(key);
            keys.push(key);
        }
        self.pin(&keys, bytes, self.requests.number(request));
    }

    /// Counts what a request keeps in memory for each unit that it has records of, until the last of
    /// them is settled.
    fn pin(&mut self, keys: &[usize], bytes: usize, request: u64) {
        for key in keys.iter().rev() {
            let entry = self.entries.get_mut(*key);
            let unit = &mut self.units[entry.unit];
            if unit.last_request != request {
                unit.last_request = request;
                unit.pinned_bytes += bytes;
                entry.pinned_bytes = bytes;
            }
        }
    }

    /// Takes what a writer tells, at `now`.
    pub(super) fn settle(&mut self, settled: &Settled, keeps_order: bool, now: Instant) {
        for (token, outcome) in settled.outcomes() {
            if let Some(key) = self.entries.in_flight(*token) {
                self.arrive(key, *outcome, keeps_order, now);
            }
        }
        // Many flights end at once after a stall; the last of them tells the round trip.
        if let Some(time) = self.shortest.take() {
            self.round_trip.measure(time);
        }
        self.retry(keeps_order, now);
    }

    /// Takes back everything in flight after the writer is gone.
    pub(super) fn lose_writer(&mut self, now: Instant) {
        self.level_rounds();
        for key in self.entries.all_in_flight() {
            self.arrive(key, Outcome::Retryable, true, now);
        }
        self.retry(true, now);
    }

    /// Takes the outcome of one record in flight.
    fn arrive(&mut self, key: usize, outcome: Outcome, keeps_order: bool, now: Instant) {
        let entry = self.entries.get_mut(key);
        let Some(place) = entry.flight.take() else {
            return;
        };
        let outcome = match outcome {
            Outcome::Undeliverable if self.limits.is_persistent => Outcome::Retryable,
            outcome => outcome,
        };
        let id = (entry.unit, place.0);
        if let Some(timeline) = self.requests.timeline(entry.request) {
            timeline.arrived(id, outcome, now);
        }
        let load = entry.load();
        let number = entry.number;
        let is_delivered = outcome == Outcome::Delivered;
        let is_final = outcome != Outcome::Retryable;
        let unit = &mut self.units[entry.unit];
        unit.in_flight -= load;
        self.in_flight -= load;
        let (ended, is_behind) = unit.arrive(place, is_final, is_delivered);
        if let Some(ended) = ended {
            let time = now.saturating_duration_since(ended.sent);
            self.ended.push((ended.records, time));
            if ended.delivered {
                self.shortest = Some(self.shortest.map_or(time, |other| other.min(time)));
            }
        }
        if is_delivered {
            unit.delivered();
            if keeps_order && is_behind {
                unit.went_ahead(self.entries.get(key).record.key_hash(), number);
            }
        }
        if is_final {
            self.finish(key, outcome, now);
        } else {
            unit.failed.push(key);
        }
    }

    /// Puts failed records back to the head of their unit, in their order, once nothing is in
    /// flight there. Gives those up whose key has had a later record delivered.
    fn retry(&mut self, keeps_order: bool, now: Instant) {
        for index in 0..self.units.len() {
            let unit = &mut self.units[index];
            if unit.is_calm() || keeps_order && !unit.in_flight.is_zero() {
                continue;
            }
            let mut failed = std::mem::take(&mut unit.failed);
            if !failed.is_empty() {
                unit.back_off(now, (self.jitter)());
            }
            failed.sort_unstable_by_key(|key| self.entries.get(*key).number);
            for key in failed.iter().rev() {
                let entry = self.entries.get(*key);
                let unit = &mut self.units[index];
                if self.requests.is_answered(entry.request)
                    || unit.is_overtaken(entry.record.key_hash(), entry.number)
                {
                    self.finish(*key, Outcome::Retryable, now);
                } else {
                    unit.waiting.push_front(*key);
                    if let Some(timeline) = self.requests.timeline(entry.request) {
                        timeline.waits_again(now);
                    }
                }
            }
            self.units[index].forget_ahead();
        }
    }

    /// Assigns the records that wait to the units of a new writer. Nothing is in flight.
    pub(super) fn assign(&mut self, units: usize, unit_of: impl Fn(&Record) -> usize) {
        self.unit_mut(units.saturating_sub(1));
        self.level_rounds();
        let mut waiting: Vec<usize> = Vec::new();
        for unit in &mut self.units {
            waiting.extend(unit.waiting.drain(..));
            unit.held = Load::default();
            unit.pinned_bytes = 0;
        }
        waiting.sort_unstable_by_key(|key| self.entries.get(*key).number);
        for key in waiting {
            let entry = self.entries.get_mut(key);
            entry.unit = unit_of(&entry.record);
            let (index, load, pinned_bytes) = (entry.unit, entry.load(), entry.pinned_bytes);
            let unit = self.unit_mut(index);
            unit.held += load;
            unit.pinned_bytes += pinned_bytes;
            unit.waiting.push_back(key);
        }
    }

    /// Gives up all records that wait, unless they are a journal's.
    pub(super) fn give_up(&mut self, now: Instant) {
        if self.limits.is_persistent {
            return;
        }
        for index in 0..self.units.len() {
            while let Some(key) = self.units[index].waiting.pop_front() {
                self.give_up_one(key, Outcome::Undeliverable, now);
            }
        }
    }

    fn unit_mut(&mut self, index: usize) -> &mut Unit {
        if index >= self.units.len() {
            self.units.resize_with(index + 1, Unit::default);
        }
        &mut self.units[index]
    }

    /// Ends a record that is not in flight.
    fn finish(&mut self, key: usize, outcome: Outcome, now: Instant) {
        let entry = self.entries.remove(key);
        let unit = &mut self.units[entry.unit];
        unit.held -= entry.load();
        unit.pinned_bytes -= entry.pinned_bytes;
        if let (Outcome::Rejected(reason), Some(queue)) = (outcome, &self.rejected) {
            queue.put(&entry.record, reason);
        }
        let is_answered = self.requests.is_answered(entry.request);
        match outcome {
            Outcome::Delivered if is_answered => self.tally.late += 1,
            _ if is_answered => {}
            Outcome::Delivered => self.tally.delivered += 1,
            Outcome::Rejected(_) => self.tally.rejected += 1,
            Outcome::Retryable | Outcome::Undeliverable => self.tally.undelivered += 1,
        }
        self.requests
            .settle(entry.request, entry.index, outcome, now);
    }

    /// Answers the requests whose deadline has come at `now`, and drops their records, but for those
    /// in flight.
    pub(super) fn expire(&mut self, now: Instant) {
        let Some(open) = self.requests.expire(now) else {
            return;
        };
        self.tally.undelivered += open;
        for index in 0..self.units.len() {
            while let Some(key) = self.units[index].waiting.front().copied()
                && self.requests.is_answered(self.entries.get(key).request)
            {
                self.units[index].waiting.pop_front();
                self.give_up_one(key, Outcome::Retryable, now);
            }
            let failed = std::mem::take(&mut self.units[index].failed);
            for key in failed {
                if self.requests.is_answered(self.entries.get(key).request) {
                    self.finish(key, Outcome::Retryable, now);
                } else {
                    self.units[index].failed.push(key);
                }
            }
        }
    }

    fn deadline_of(&self, key: usize) -> Instant {
        self.requests.deadline(self.entries.get(key).request)
    }

    fn stalled_before(&self, now: Instant) -> Instant {
        let limit = self.round_trip.patience() * 2;
        now.checked_sub(limit).unwrap_or(now)
    }

    /// Returns the sum of a load of the units that settle nothing.
    fn sum_of_stalled(&self, before: Instant, load: impl Fn(&Unit) -> Load) -> Load {
        let mut sum = Load::default();
        for unit in self.units.iter().filter(|unit| unit.is_stalled(before)) {
            sum += load(unit);
        }
        sum
    }

    /// Returns whether records fail, in a unit that has delivered none since.
    pub(super) fn is_failing(&self) -> bool {
        self.units.iter().any(Unit::is_failing)
    }

    /// Returns the begin of the oldest flight of all.
    pub(super) fn oldest_flight(&self) -> Option<Instant> {
        self.units.iter().filter_map(Unit::oldest_flight).min()
    }

    /// Returns the first deadline of a request that is not answered.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        self.requests.next_deadline()
    }

    /// Takes the flights that have ended since the last call: the records of each, and the time that
    /// it took.
    pub(super) fn take_ended(&mut self) -> impl Iterator<Item = (usize, Duration)> {
        self.ended.drain(..)
    }

    /// Returns the records that were taken, and the ends of records, since the last call.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Returns the number of records that are held, and whose requests have no answer.
    pub(super) fn waited_for(&self) -> usize {
        self.requests.waited_for()
    }
}

#[cfg(test)]
mod tests;
