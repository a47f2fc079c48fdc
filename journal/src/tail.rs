//! The place where the next commit of a journal goes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use iem_disk::DiskError;

use crate::damage::{Damage, DamageKind};
use crate::format::segment::{PreviousEnd, SegmentHeader};
use crate::format::{BLOCK, Nonce};
use crate::log::Segment;
use crate::recovery::Recovered;
use crate::walk::Walk;

/// The place where the next commit goes.
pub(crate) struct Tail {
    pub(crate) file: Arc<File>,
    /// The segment's first sequence number.
    pub(crate) segment: u64,
    pub(crate) nonce: Nonce,
    pub(crate) offset: u64,
    /// The length of the file.
    pub(crate) length: u64,
    pub(crate) next_commit: u64,
    pub(crate) next_sequence: u64,
    /// The checksum of the last commit's header.
    pub(crate) checksum: u32,
    /// The end of the segment before, as long as this one has no commit.
    pub(crate) previous: Option<PreviousEnd>,
    /// A write or a sync has failed here: nothing more is written to the file.
    pub(crate) is_void: bool,
}

impl Tail {
    /// Returns the place of the first commit of a new segment.
    pub(crate) fn begin(file: &Arc<File>, header: &SegmentHeader, length: u64) -> Self {
        Self {
            file: Arc::clone(file),
            segment: header.first_sequence,
            nonce: header.nonce,
            offset: BLOCK as u64,
            length,
            next_commit: header.first_commit,
            next_sequence: header.first_sequence,
            checksum: header.previous.map_or(0, |previous| previous.checksum),
            previous: header.previous,
            is_void: false,
        }
    }

    /// Returns the end of the last segment. A segment whose header is damaged is not written any
    /// more.
    pub(crate) fn at_end(
        first: u64,
        segment: &Segment,
        recovered: &Recovered,
    ) -> Result<Self, DiskError> {
        let length = segment.file.metadata();
        let length = length
            .map_err(|error| DiskError::new("read the length of", Path::new("a segment"), error))?;
        let is_of_header = |damage: &Damage| damage.kind == DamageKind::SegmentHeader;
        Ok(Self {
            file: Arc::clone(&segment.file),
            segment: first,
            nonce: segment.nonce,
            offset: segment.end.offset,
            length: length.len(),
            next_commit: recovered.next_commit,
            next_sequence: segment.end.sequence,
            checksum: recovered.checksum,
            previous: None,
            is_void: recovered.damages.iter().any(is_of_header),
        })
    }

    /// Returns the walk of a reader that has read all commits so far.
    pub(crate) fn walk(&self) -> Walk {
        Walk::at(self.offset, self.next_commit, self.next_sequence)
    }
}
