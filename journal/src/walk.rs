//! Walks through the commits of a segment in their order, up to its end, and over what is damaged.
//! It reads headers alone.

use std::io;
use std::ops::Range;

use crate::format::BLOCK;
use crate::scan::{Found, Source};

/// A place in a segment, and the least that is expected there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    offset: u64,
    /// The number of the next commit, or one below it.
    commit: u64,
    sequence: u64,
}

/// The end of a segment's commits: its place in bytes, and the sequence number behind its last
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A commit with a valid header.
    Commit(Found),
    /// Bytes without a valid header, and the sequence numbers that are missing there. The bytes are
    /// empty if only the sequence numbers tell that something is missing.
    Hole {
        bytes: Range<u64>,
        sequences: Range<u64>,
    },
}

impl Walk {
    /// Begins at the first commit of a segment.
    pub(crate) fn begin(first_sequence: u64, first_commit: u64) -> Self {
        Self::at(BLOCK as u64, first_commit, first_sequence)
    }

    /// Begins at a commit. All commits behind it have this number at least.
    pub(crate) fn at(offset: u64, commit: u64, sequence: u64) -> Self {
        Self {
            offset,
            commit,
            sequence,
        }
    }

    /// Returns the place of the next commit, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the number that the next commit has at least.
    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    /// Returns the sequence number that the next record has at least.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes the next step, or returns `None` at the end.
    pub(crate) fn next(&mut self, source: Source<'_>, end: End) -> io::Result<Option<Step>> {
        let is_next = |found: &Found| {
            let header = &found.header;
            header.number >= self.commit
                && header.first_sequence >= self.sequence
                && header.end_sequence() <= end.sequence
                && found.end() <= end.offset
        };
        let found = source.find(self.offset..end.offset, is_next)?;
        let (offset, sequence) = match &found {
            Some(found) => (found.offset, found.header.first_sequence),
            None => (end.offset.max(self.offset), end.sequence.max(self.sequence)),
        };
        let bytes = self.offset..offset;
        let sequences = self.sequence..sequence;
        if !bytes.is_empty() || !sequences.is_empty() {
            (self.offset, self.sequence) = (offset, sequence);
            return Ok(Some(Step::Hole { bytes, sequences }));
        }
        let Some(found) = found else {
            return Ok(None);
        };
        self.offset = found.end();
        self.commit = found.header.number + 1;
        self.sequence = found.header.end_sequence();
        Ok(Some(Step::Commit(found)))
    }
}
