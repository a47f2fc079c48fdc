//! Damage to a journal's files: where it is, and what is lost by it.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file.
    pub path: PathBuf,
    /// The bytes of the file that are damaged; empty if the file is missing.
    pub bytes: Range<u64>,
    /// The kind of damage.
    pub kind: DamageKind,
    /// The sequence numbers of the records that are lost by it and were not settled.
    pub lost: Vec<Range<u64>>,
}

/// The kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The header of a segment. Its commits are read all the same.
    SegmentHeader,
    /// A commit, with valid ones behind it. Records whose own checksum proves them are not lost.
    Commit,
    /// A whole segment that is not there.
    MissingSegment,
    /// The last commit, which a crash may have torn: it was not acknowledged, unless the disk has
    /// changed it since.
    TornCommit,
}

impl Damage {
    /// Returns the number of records that are lost.
    pub fn lost_records(&self) -> u64 {
        self.lost.iter().map(|range| range.end - range.start).sum()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::SegmentHeader => "its header is damaged",
            DamageKind::Commit => "a commit is damaged",
            DamageKind::MissingSegment => "the file is missing",
            DamageKind::TornCommit => "its last commit was not written to its end",
        };
        write!(formatter, "{}: {what}", self.path.display())?;
        if !self.bytes.is_empty() {
            write!(
                formatter,
                " at bytes {} to {}",
                self.bytes.start,
                self.bytes.end - 1
            )?;
        }
        match self.lost_records() {
            0 => write!(formatter, "; no record is lost"),
            count => {
                write!(formatter, "; {count} records are lost, sequence numbers")?;
                for (index, range) in self.lost.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(formatter, "{comma} {} to {}", range.start, range.end - 1)?;
                }
                Ok(())
            }
        }
    }
}
