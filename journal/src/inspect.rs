//! The state of a journal for people and for programs, from its headers and its last segment.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use iem_disk::DiskError;

use crate::counts::Counts;
use crate::damage::Damage;
use crate::error::OpenError;
use crate::format::BLOCK;
use crate::look::{Look, Pass};
use crate::name;

/// The most damaged commits that are passed in search of the oldest record.
const DAMAGED_MAX: usize = 64;

/// The state of a journal, as the disk has it. A running gateway may have settled more.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The journal's folder.
    pub folder: PathBuf,
    /// A message that names the process that has it open, if one does.
    pub holder: Option<String>,
    /// The segments, in order.
    pub segments: Vec<SegmentSummary>,
    /// The bytes of the file that becomes the next segment; 0 if there is none.
    pub spare_bytes: u64,
    /// The lowest sequence number that is not settled.
    pub low: u64,
    /// The sequence number behind the last record.
    pub end: u64,
    /// The settled ranges above `low`.
    pub settled: Vec<Range<u64>>,
    /// The records by how they have ended.
    pub counts: Counts,
    /// The bytes from the first commit with a record that is not settled to the end.
    pub backlog_bytes: u64,
    /// The time at which the oldest record was received that is not settled and can be read.
    pub oldest: Option<SystemTime>,
    /// The damage that headers show, and that of the last commit. `verify` finds the rest.
    pub damages: Vec<Damage>,
    /// Whether a running gateway was writing its last commit at this moment.
    pub is_being_written: bool,
}

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The sequence number of its first record, which names it.
    pub first_sequence: u64,
    /// The sequence number behind its last record.
    pub end_sequence: u64,
    /// The length of its file.
    pub bytes: u64,
    /// The bytes up to the end of its last commit.
    pub bytes_used: u64,
    /// The number of its commits, if headers tell it.
    pub commits: Option<u64>,
}

/// Looks at the journal of a folder. Blocks; reads the headers and the last segment.
///
/// # Errors
/// There is no such folder, a later release has written it, or the disk fails.
pub fn inspect(folder: &Path) -> Result<Inspection, OpenError> {
    let look = Look::at(folder)?;
    let segments = summaries(&look);
    let spare = folder.join(name::SPARE).symlink_metadata();
    let state = look.recovered.state.clone();
    let mut inspection = Inspection {
        folder: folder.to_owned(),
        holder: look.holder.clone(),
        spare_bytes: spare.map_or(0, |metadata| metadata.len()),
        low: state.cursor.low(),
        end: segments.last().map_or(0, |segment| segment.end_sequence),
        settled: state.cursor.ranges().collect(),
        counts: state.counts,
        segments,
        backlog_bytes: 0,
        oldest: None,
        damages: look.recovered.damages.clone(),
        is_being_written: look.is_being_written,
    };
    inspection.find_oldest(look)?;
    Ok(inspection)
}

fn summaries(look: &Look) -> Vec<SegmentSummary> {
    let segments = &look.recovered.segments;
    let next_commits = segments
        .iter()
        .skip(1)
        .map(|(first, segment)| look.has_header(*first).then_some(segment.first_commit));
    let last = Some(look.recovered.next_commit);
    let next_commits = next_commits.chain([last]);
    let segments = segments.iter().zip(next_commits);
    segments
        .map(|((first, segment), next_commit)| {
            let length = segment.file.metadata();
            let first_commit = look.has_header(*first).then_some(segment.first_commit);
            SegmentSummary {
                first_sequence: *first,
                end_sequence: segment.end.sequence,
                bytes: length.map_or(0, |metadata| metadata.len()),
                bytes_used: segment.end.offset,
                commits: first_commit
                    .zip(next_commit)
                    .map(|(first, next)| next.saturating_sub(first)),
            }
        })
        .collect()
}

impl Inspection {
    /// Finds the first record that is not settled, and with it the place where the backlog begins.
    fn find_oldest(&mut self, look: Look) -> Result<(), DiskError> {
        if self.low >= self.end {
            return Ok(());
        }
        let mut pass = Pass::through_unsettled(look);
        let mut begin = None;
        for _ in 0..DAMAGED_MAX {
            let Some(part) = pass.next()? else {
                break;
            };
            begin = begin.or(Some((part.segment, part.contents.bytes.start)));
            let cursor = &pass.look.recovered.state.cursor;
            let mut records = part.contents.records.iter();
            let oldest = records.find(|(sequence, _)| !cursor.is_settled(*sequence));
            if let Some((_, record)) = oldest {
                self.oldest = Some(record.context.time);
                break;
            }
        }
        let Some((first, offset)) = begin else {
            return Ok(());
        };
        for segment in &self.segments {
            self.backlog_bytes += match segment.first_sequence {
                other if other < first => 0,
                other if other == first => segment.bytes_used.saturating_sub(offset),
                _ => segment.bytes_used.saturating_sub(BLOCK as u64),
            };
        }
        Ok(())
    }
}
