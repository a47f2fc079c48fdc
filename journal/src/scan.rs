//! Reads the headers and the commits of a segment, and finds valid ones behind damage.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::access::Access;
use crate::format::commit::CommitHeader;
use crate::format::{BLOCK, Nonce};

/// The bytes that are looked at in one go for the next valid header.
const SEARCH_BYTES: usize = 1 << 20;

/// The bytes of a segment.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) access: Access<'a>,
    pub(crate) file: &'a File,
    pub(crate) nonce: Nonce,
}

/// A valid header, and its place.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) header: CommitHeader,
}

impl Found {
    /// Returns the end of the commit.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.header.commit_bytes() as u64
    }

    /// Returns the bytes of the commit.
    pub(crate) fn bytes(&self) -> Range<u64> {
        self.offset..self.end()
    }
}

impl Source<'_> {
    /// Reads bytes into `buffer`, as many as the file has.
    pub(crate) fn read(&self, bytes: &Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        let length = bytes.end.saturating_sub(bytes.start);
        buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        let length = self.access.read_at(self.file, buffer, bytes.start)?;
        buffer.truncate(length);
        Ok(())
    }

    /// Returns the first commit within `bytes` that has a valid header and `is_wanted`.
    pub(crate) fn find(
        &self,
        bytes: Range<u64>,
        is_wanted: impl Fn(&Found) -> bool,
    ) -> io::Result<Option<Found>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        // It is nearly always the first one.
        let mut block = [0; BLOCK];
        let length = self.access.read_at(self.file, &mut block, bytes.start)?;
        let first = self.first(&block[..length], bytes.start, &is_wanted);
        if first.is_some() || length < BLOCK {
            return Ok(first);
        }
        let mut buffer = Vec::new();
        let mut offset = bytes.start + BLOCK as u64;
        while offset < bytes.end {
            let end = bytes.end.min(offset + SEARCH_BYTES as u64);
            self.read(&(offset..end), &mut buffer)?;
            let found = self.first(&buffer, offset, &is_wanted);
            if found.is_some() || offset + (buffer.len() as u64) < end {
                return Ok(found);
            }
            offset = end;
        }
        Ok(None)
    }

    /// Returns the first valid header that is wanted of blocks that begin at `offset`.
    fn first(
        &self,
        blocks: &[u8],
        offset: u64,
        is_wanted: &impl Fn(&Found) -> bool,
    ) -> Option<Found> {
        let mut blocks = blocks.chunks(BLOCK).enumerate();
        blocks.find_map(|(index, block)| {
            let header = CommitHeader::decode(self.nonce, block).ok()?;
            let offset = offset + (index * BLOCK) as u64;
            Some(Found { offset, header }).filter(is_wanted)
        })
    }
}

/// Returns the nonce of the latest commit in a segment whose header is damaged, if it has any. Its
/// records have this sequence number at least: a file may still have commits of an earlier segment.
pub(crate) fn find_nonce(
    access: Access<'_>,
    file: &File,
    first_sequence: u64,
) -> io::Result<Option<Nonce>> {
    let mut latest = None;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut buffer = vec![0; SEARCH_BYTES.min(length)];
    let mut offset = BLOCK as u64;
    loop {
        let length = access.read_at(file, &mut buffer, offset)?;
        for block in buffer[..length].chunks(BLOCK) {
            let Some(nonce) = CommitHeader::nonce_of(block) else {
                continue;
            };
            if let Ok(header) = CommitHeader::decode(nonce, block)
                && header.first_sequence >= first_sequence
                && latest.is_none_or(|(number, _)| header.number > number)
            {
                latest = Some((header.number, nonce));
            }
        }
        if length < buffer.len() || length == 0 {
            return Ok(latest.map(|(_, nonce)| nonce));
        }
        offset += length as u64;
    }
}
