//! The first block of a segment.

use bytes::BufMut;

use super::state::State;
use super::{BLOCK, Malformed, Nonce, narrow, take, take_number, take_u32, take_u64};

const MAGIC: &[u8; 8] = b"IEMJRNL\0";
/// The version of the format. A later release reads the earlier versions.
const VERSION: u32 = 1;
/// The bytes of magic, version and length.
const PREFIX: usize = 16;

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) nonce: Nonce,
    /// The sequence number of its first record.
    pub(crate) first_sequence: u64,
    /// The number of its first commit.
    pub(crate) first_commit: u64,
    /// The end of the segment before it; `None` for a journal's first.
    pub(crate) previous: Option<PreviousEnd>,
    pub(crate) state: State,
}

/// The place where a segment validly ends. What lies behind it was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreviousEnd {
    /// The segment's first sequence number, which names it.
    pub(crate) segment: u64,
    /// The end of its last commit, in bytes from its start.
    pub(crate) offset: u64,
    /// The sequence number behind its last record.
    pub(crate) sequence: u64,
    /// The checksum of its last commit's header.
    pub(crate) checksum: u32,
}

impl SegmentHeader {
    /// Returns the header as a whole block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK);
        block.put_slice(MAGIC);
        block.put_u32_le(VERSION);
        block.put_u32_le(narrow(BLOCK));
        block.put_u64_le(self.nonce.0);
        block.put_u64_le(self.first_sequence);
        block.put_u64_le(self.first_commit);
        block.put_u8(u8::from(self.previous.is_some()));
        if let Some(previous) = self.previous {
            block.put_u64_le(previous.segment);
            block.put_u64_le(previous.offset);
            block.put_u64_le(previous.sequence);
            block.put_u32_le(previous.checksum);
        }
        self.state.put(&mut block);
        block.resize(BLOCK - size_of::<u32>(), 0);
        let checksum = self.nonce.checksum(&[&block]);
        block.put_u32_le(checksum);
        block
    }

    /// Reads the first block of a segment.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = block;
        if take(&mut bytes, MAGIC.len())? != MAGIC {
            return Err(Malformed::Absent);
        }
        let version = take_u32(&mut bytes)?;
        if version != VERSION {
            // A bit that has flipped would name any version: only a whole header is believed.
            let is_whole = Nonce::seals(block);
            return Err(if is_whole {
                Malformed::Version(version)
            } else {
                Malformed::Damaged
            });
        }
        let length = take_u32(&mut bytes)?;
        if length as usize != BLOCK || !Nonce::seals(block) {
            return Err(Malformed::Damaged);
        }
        let header = Self {
            nonce: Nonce(take_u64(&mut bytes)?),
            first_sequence: take_number(&mut bytes)?,
            first_commit: take_number(&mut bytes)?,
            previous: PreviousEnd::take(&mut bytes)?,
            state: State::take(&mut bytes)?,
        };
        let is_before = |previous: PreviousEnd| {
            previous.segment < header.first_sequence
                && (previous.segment..=header.first_sequence).contains(&previous.sequence)
                && previous.offset >= BLOCK as u64
                && previous.offset.is_multiple_of(BLOCK as u64)
        };
        if !header.previous.is_none_or(is_before) {
            return Err(Malformed::Damaged);
        }
        Ok(header)
    }
}

impl PreviousEnd {
    fn take(bytes: &mut &[u8]) -> Result<Option<Self>, Malformed> {
        if take(bytes, 1)? == [0] {
            return Ok(None);
        }
        Ok(Some(Self {
            segment: take_number(bytes)?,
            offset: take_number(bytes)?,
            sequence: take_number(bytes)?,
            checksum: take_u32(bytes)?,
        }))
    }
}

impl Nonce {
    /// Returns whether a header's checksum matches. All versions of the format have the length of
    /// the header, checksum included, at byte 12, and the nonce at byte 16.
    fn seals(block: &[u8]) -> bool {
        let mut prefix = block.get(PREFIX - 4..).unwrap_or_default();
        let (Ok(length), Ok(nonce)) = (take_u32(&mut prefix), take_u64(&mut prefix)) else {
            return false;
        };
        let Some(sealed) = (length as usize)
            .checked_sub(size_of::<u32>())
            .filter(|sealed| *sealed >= PREFIX)
        else {
            return false;
        };
        let (Some(content), Some(mut checksum)) = (block.get(..sealed), block.get(sealed..)) else {
            return false;
        };
        take_u32(&mut checksum) == Ok(Self(nonce).checksum(&[content]))
    }
}
