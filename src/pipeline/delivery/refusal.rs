//! Which submissions are not taken: those for units that settle nothing, once such units hold their
//! half of the topic.

use std::time::Instant;

use iem_sink::Record;

use super::Delivery;
use super::load::Load;
use crate::pipeline::submission::Submission;

impl Delivery {
    /// Returns whether a submission is not taken now. A forwarder sends the records of a unit in
    /// order, and in the next round from the first that was refused: until then, none of the unit
    /// is taken.
    pub(super) fn is_refused(
        &mut self,
        submission: &Submission,
        now: Instant,
        unit_of: &impl Fn(&Record) -> usize,
    ) -> bool {
        let is_beyond = self.is_beyond_half(submission, now, unit_of);
        if !self.limits.is_persistent {
            return is_beyond;
        }
        let unit = submission.records.first().map_or(0, unit_of);
        let unit = self.unit_mut(unit);
        let is_refused = is_beyond || submission.round <= unit.refused_round;
        if is_refused {
            unit.refused_round = submission.round;
        }
        is_refused
    }

    /// Has all units refuse what any of them refuses: records of a key may be of another unit now.
    pub(super) fn level_rounds(&mut self) {
        let greatest = self.units.iter().map(|unit| unit.refused_round).max();
        for unit in &mut self.units {
            unit.refused_round = greatest.unwrap_or_default();
        }
    }

    /// Returns whether a submission has a record for a unit that settles nothing, and would take
    /// such units beyond half of this worker's share of the topic.
    fn is_beyond_half(
        &self,
        submission: &Submission,
        now: Instant,
        unit_of: &impl Fn(&Record) -> usize,
    ) -> bool {
        let load = Load::new(submission.records.len(), submission.bytes());
        let limit = self.limits.stalled;
        if self.units.len() == 1 || self.requests.held().fits(load, limit) {
            return false;
        }
        let before = self.stalled_before(now);
        let stalled = self.sum_of_stalled(before, |unit| {
            Load::new(unit.held.records, unit.pinned_bytes)
        });
        let is_stalled = |record| {
            let unit = self.units.get(unit_of(record));
            unit.is_some_and(|unit| unit.is_stalled(before))
        };
        !stalled.is_zero()
            && !stalled.fits(load, limit)
            && submission.records.iter().any(is_stalled)
    }
}
