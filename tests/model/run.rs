//! The sums of runs, printed at the end.

use std::collections::BTreeMap;

/// The sums of one run or several.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) steps: usize,
    pub(crate) answers: BTreeMap<u16, usize>,
    /// The number of records that had to be there, could be, and must not.
    pub(crate) records: [usize; 3],
    pub(crate) late: usize,
}

impl Run {
    pub(crate) fn add(&mut self, other: Self) {
        self.steps += other.steps;
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        for (sum, count) in self.records.iter_mut().zip(other.records) {
            *sum += count;
        }
        self.late += other.late;
    }
}
