//! The state that a journal must be in, as far as its caller knows.

use std::collections::{BTreeMap, BTreeSet};

/// The records of a journal by their sequence numbers, each by its data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// Records that were acknowledged, and are not known to be settled on the disk.
    pub(crate) acknowledged: BTreeMap<u64, Vec<u8>>,
    /// The data of records that were refused: they may be in the journal all the same.
    pub(crate) refused: BTreeSet<Vec<u8>>,
    /// Sequence numbers that are settled. The disk may not know it.
    pub(crate) settled: BTreeSet<u64>,
    /// Those of them that the disk knows of.
    pub(crate) durable: BTreeSet<u64>,
}

impl Oracle {
    /// Returns the sequence numbers that are not settled.
    pub(crate) fn open(&self) -> BTreeSet<u64> {
        let acknowledged = self.acknowledged.keys().copied();
        acknowledged
            .filter(|sequence| !self.settled.contains(sequence))
            .collect()
    }

    /// Checks what is read after a restart that came at an unknown time between this state and
    /// `later`. Returns the state that is known then.
    pub(crate) fn check_restart(&self, later: &Self, read: &BTreeMap<u64, Vec<u8>>) -> Self {
        for (sequence, data) in &self.acknowledged {
            let is_there = read.get(sequence) == Some(data);
            assert!(
                is_there || later.settled.contains(sequence),
                "record {sequence} was acknowledged and is gone"
            );
        }
        for (sequence, data) in read {
            let is_known = later.acknowledged.get(sequence) == Some(data)
                || self.acknowledged.get(sequence) == Some(data)
                || later.refused.contains(data);
            assert!(is_known, "record {sequence} was never published");
            assert!(
                !self.durable.contains(sequence),
                "record {sequence} was settled, and the disk knew it"
            );
        }
        Self {
            acknowledged: read.clone(),
            refused: later.refused.clone(),
            settled: BTreeSet::new(),
            durable: self.durable.clone(),
        }
    }
}
