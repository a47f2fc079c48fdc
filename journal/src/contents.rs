//! The records of a part of a segment, as far as checksums prove them.

use std::io;
use std::ops::Range;

use iem_sink::Record;

use crate::format::request;
use crate::scan::Source;
use crate::walk::{End, Step, Walk};

/// The records of one step of a walk.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The proven records, with their sequence numbers, in order.
    pub(crate) records: Vec<(u64, Record)>,
    /// The sequence numbers that should be there.
    pub(crate) sequences: Range<u64>,
    pub(crate) bytes: Range<u64>,
    /// Whether all is as it was written.
    pub(crate) is_whole: bool,
}

impl Contents {
    /// Reads a commit, or what is left of one in a hole.
    pub(crate) fn read(source: Source<'_>, step: Step, buffer: &mut Vec<u8>) -> io::Result<Self> {
        match step {
            Step::Commit(found) => {
                source.read(&found.bytes(), buffer)?;
                let header = &found.header;
                let is_whole = header.check_payload(source.nonce, buffer).is_ok();
                let sequences = header.first_sequence..header.end_sequence();
                let payload = buffer.get(header.payload_offset()..).unwrap_or_default();
                let records = if header.count == 0 {
                    Vec::new()
                } else {
                    let payload = request::decode(source.nonce, sequences.start, payload);
                    numbered(payload.records, &sequences)
                };
                Ok(Self {
                    records,
                    sequences,
                    bytes: found.bytes(),
                    is_whole,
                })
            }
            Step::Hole { bytes, sequences } => {
                source.read(&bytes, buffer)?;
                Ok(Self {
                    records: salvage(source, buffer, &sequences),
                    sequences,
                    bytes,
                    is_whole: false,
                })
            }
        }
    }

    /// Reads the next step of a walk, if there is one before `end`.
    pub(crate) fn read_next(
        walk: &mut Walk,
        source: Source<'_>,
        end: End,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let step = walk.next(source, end)?;
        step.map(|step| Self::read(source, step, buffer))
            .transpose()
    }

    /// Returns the sequence numbers of the records that are missing, as ranges.
    pub(crate) fn missing(&self) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut next = self.sequences.start;
        for (sequence, _) in &self.records {
            if next < *sequence {
                missing.push(next..*sequence);
            }
            next = sequence + 1;
        }
        if next < self.sequences.end {
            missing.push(next..self.sequences.end);
        }
        missing
    }
}

/// Numbers records by their place in the commit. Those beyond the commit's own are none of its.
fn numbered(records: Vec<(u32, Record)>, sequences: &Range<u64>) -> Vec<(u64, Record)> {
    records
        .into_iter()
        .map(|(index, record)| (sequences.start + u64::from(index), record))
        .take_while(|(sequence, _)| *sequence < sequences.end)
        .collect()
}

/// Saves what its own checksums prove of commits without a valid header: of the first one, and of
/// those behind it as long as each tells how many records it has.
fn salvage(source: Source<'_>, hole: &[u8], sequences: &Range<u64>) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    let mut rest = hole;
    let mut sequences = sequences.clone();
    while !sequences.is_empty()
        && let Some(saved) = request::salvage(source.nonce, sequences.start, rest)
    {
        records.extend(numbered(saved.payload.records, &sequences));
        sequences.start += u64::from(saved.payload.count);
        rest = rest.get(saved.commit_bytes..).unwrap_or_default();
    }
    records
}
