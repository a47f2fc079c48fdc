//! The ends of a journal's records. The counts go on over restarts.

/// Numbers of records since the journal was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Written and synced.
    pub accepted: u64,
    /// Taken by the sink.
    pub delivered: u64,
    /// Never to be taken by the sink, and kept among the dead letters.
    pub dead_lettered: u64,
    /// Lost by damage to the journal's files.
    pub damaged: u64,
}

impl Counts {
    /// Returns the number of records that are not settled.
    pub fn backlog(&self) -> u64 {
        let settled = self.delivered + self.dead_lettered + self.damaged;
        self.accepted.saturating_sub(settled)
    }
}
