//! The hand-over: which records go to the sink next, and which can no longer be in time.

use std::time::Instant;

use iem_sink::{Outcome, Sending};

use super::load::Load;
use super::unit::Unit;
use super::{Delivery, Terms};
use crate::config::BATCHES_IN_FLIGHT;

impl Delivery {
    /// Puts the next batch together at `now`. Returns its latest deadline, or the time at which to
    /// look again if nothing is to be handed over now.
    pub(in crate::pipeline) fn next_batch(
        &mut self,
        terms: Terms,
        now: Instant,
    ) -> Result<Instant, Option<Instant>> {
        self.batch.clear();
        let mut look_at = None;
        let mut batch = Load::default();
        let count = self.units.len();
        let first = self.turn;
        for index in (first..count).chain(0..first) {
            match self.ready_at(index, terms, now) {
                Some(at) if at <= now => {
                    self.take_from(index, &mut batch, terms, now);
                    if batch.left_of(self.limits.batch).is_zero() {
                        break;
                    }
                }
                at => look_at = [look_at, at].into_iter().flatten().min(),
            }
        }
        if !self.batch.is_empty() {
            self.turn = (first + 1) % count;
        }
        let latest = self.batch.iter().map(|key| self.deadline_of(*key)).max();
        let due = self.requests.next_deadline();
        latest.ok_or_else(|| [look_at, due].into_iter().flatten().min())
    }

    /// Returns the time from which on records of a unit may be handed over, at the earliest `now`;
    /// `None` if that does not depend on the time.
    fn ready_at(&self, index: usize, terms: Terms, now: Instant) -> Option<Instant> {
        let unit = &self.units[index];
        let first = *unit.waiting.front()?;
        if !unit.failed.is_empty() {
            return None;
        }
        if !unit.in_flight.is_zero() && unit.epoch != terms.epoch {
            return None;
        }
        let mut at = now;
        if let Some(sent) = unit.last_open_flight() {
            if !self.has_full_batch(unit) {
                at = sent + self.round_trip.patience();
            }
        } else if !self.limits.linger.is_zero() && !self.has_full_batch(unit) {
            let waits = self.limits.deadline.saturating_sub(self.limits.linger);
            at = self.deadline_of(first).checked_sub(waits).unwrap_or(now);
        }
        Some(unit.retry_at.map_or(at, |retry| retry.max(at)))
    }

    /// Returns whether as much waits in the unit as one batch takes.
    fn has_full_batch(&self, unit: &Unit) -> bool {
        let batch = self.limits.batch;
        unit.waiting.len() >= batch.records || unit.held.bytes - unit.in_flight.bytes >= batch.bytes
    }

    /// Moves records of a unit into the batch, as far as batch and window have room. Gives up those
    /// that can no longer be in time.
    fn take_from(&mut self, index: usize, batch: &mut Load, terms: Terms, now: Instant) {
        let needed = self.round_trip.estimate().max(terms.time_needed);
        let began = self.batch.len();
        let mut stalled = self.stalled_in_flight(index, now);
        while let Some(key) = self.units[index].waiting.front().copied() {
            if self.deadline_of(key) < now + needed {
                self.units[index].waiting.pop_front();
                self.give_up_one(key, Outcome::Retryable, now);
                continue;
            }
            let load = self.entries.get(key).load();
            let fits = self.batch.is_empty() || batch.fits(load, self.limits.batch);
            if !fits || !self.has_room(index, load, stalled) {
                break;
            }
            *batch += load;
            if let Some(stalled) = &mut stalled {
                *stalled += load;
            }
            self.in_flight += load;
            let unit = &mut self.units[index];
            unit.in_flight += load;
            unit.waiting.pop_front();
            self.batch.push(key);
        }
        let taken = self.batch.len() - began;
        if taken > 0 {
            let flight = self.units[index].depart(taken, terms.epoch, now);
            for (position, key) in self.batch[began..].iter().enumerate() {
                let entry = self.entries.get_mut(*key);
                entry.flight = Some((flight, position));
                if let Some(timeline) = self.requests.timeline(entry.request) {
                    timeline.sent((index, flight), taken, now);
                }
            }
        }
    }

    /// Gives up a record that has waited.
    pub(super) fn give_up_one(&mut self, key: usize, outcome: Outcome, now: Instant) {
        let request = self.entries.get(key).request;
        if let Some(timeline) = self.requests.timeline(request) {
            timeline.given_up(outcome, now);
        }
        self.finish(key, outcome, now);
    }

    /// Returns whether the window has room for more of a unit. Of several units, one may have no more
    /// in flight than it leaves free, and those that settle nothing together no more than half.
    ///
    /// Two records that are larger than a batch may be in flight beyond the window, each in a unit
    /// that has nothing else in flight: smaller ones would take all that becomes free before them.
    fn has_room(&self, index: usize, load: Load, stalled: Option<Load>) -> bool {
        if self.in_flight.is_zero() {
            return true;
        }
        let window = self.window();
        let free = self.in_flight.left_of(window);
        let unit = &self.units[index].in_flight;
        let half = Load::new(window.records / 2, window.bytes / 2);
        if stalled.is_some_and(|stalled| !stalled.fits(load, half)) {
            return false;
        }
        if load.bytes > self.limits.batch.bytes && unit.is_zero() {
            return self.in_flight.bytes <= window.bytes + load.bytes;
        }
        Load::default().fits(load, free)
            && (self.units.len() == 1 || unit.is_zero() || unit.fits(load, free))
    }

    /// Returns what the units have in flight that settle nothing, if the unit is one of them.
    fn stalled_in_flight(&self, index: usize, now: Instant) -> Option<Load> {
        let before = self.stalled_before(now);
        self.units[index]
            .is_stalled(before)
            .then(|| self.sum_of_stalled(before, |unit| unit.in_flight))
    }

    fn window(&self) -> Load {
        Load::new(
            self.limits.batch.records * BATCHES_IN_FLIGHT,
            self.limits.batch.bytes * BATCHES_IN_FLIGHT,
        )
    }

    /// Returns the records of the batch that was put together last, with their tokens.
    pub(in crate::pipeline) fn batch(&self) -> Vec<Sending<'_>> {
        let one = |key: &usize| Sending {
            token: self.entries.token(*key),
            record: &self.entries.get(*key).record,
        };
        self.batch.iter().map(one).collect()
    }
}
