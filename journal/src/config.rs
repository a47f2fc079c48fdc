//! The validated settings of a journal.

use std::path::PathBuf;

/// The length of a segment, in bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// The settings of one topic's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The folder of the segments. One journal owns it.
    pub folder: PathBuf,
    /// Whether a folder that is not there is made. If not, it is an error: a volume may not be
    /// mounted.
    pub create: bool,
    /// The length of a segment in bytes: whole blocks of 4 KiB, below 4 GiB. [`SEGMENT_BYTES`]
    /// outside tests.
    pub segment_bytes: u64,
    /// The most bytes that all segments take on the disk, the spare one included. At least three
    /// segments, one of which is kept for the time after a failure of the disk.
    pub bytes: u64,
    /// The answer to damage.
    pub on_damage: OnDamage,
}

/// The answer of a start to damage in the journal's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// Report what is lost, count it, and go on with the rest.
    #[default]
    Report,
    /// Do not start.
    Refuse,
}

impl JournalConfig {
    /// Returns the most segments that there may be, the spare one included, and the one for the time
    /// after a failure.
    pub(crate) fn segments_max(&self) -> usize {
        let segments = self.bytes / self.segment_bytes;
        usize::try_from(segments).unwrap_or(usize::MAX).max(3)
    }
}
