//! A number of records with their bytes.

use std::ops::{AddAssign, SubAssign};

/// Records, and the bytes of their data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Load {
    pub(in crate::pipeline) records: usize,
    pub(in crate::pipeline) bytes: usize,
}

impl Load {
    pub(in crate::pipeline) fn new(records: usize, bytes: usize) -> Self {
        Self { records, bytes }
    }

    /// Returns the load of one record of `bytes`.
    pub(in crate::pipeline) fn one(bytes: usize) -> Self {
        Self::new(1, bytes)
    }

    pub(in crate::pipeline) fn is_zero(self) -> bool {
        self.records == 0
    }

    /// Returns whether `more` fits beside this load within `limit`.
    pub(in crate::pipeline) fn fits(self, more: Self, limit: Self) -> bool {
        self.records + more.records <= limit.records && self.bytes + more.bytes <= limit.bytes
    }

    /// Returns what is left of `limit` beside this load.
    pub(super) fn left_of(self, limit: Self) -> Self {
        Self::new(
            limit.records.saturating_sub(self.records),
            limit.bytes.saturating_sub(self.bytes),
        )
    }
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, other: Self) {
        self.records -= other.records;
        self.bytes -= other.bytes;
    }
}
