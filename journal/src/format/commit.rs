//! A commit: its header, and behind it the payload, which fills the commit's last block with zeros.
//!
//! A commit of records has their requests as its payload. A cursor commit has no records; its payload
//! is all settled ranges.

use bytes::BufMut;

use super::state::{self, State};
use super::{Malformed, Nonce, narrow, padded, take, take_number, take_u32, take_u64};
use crate::cursor::Cursor;

const MAGIC: &[u8; 4] = b"CMT1";

/// The bytes of the header's numbers before its state.
const FIXED: usize = 48;

/// The bytes of a header without ranges.
const SHORTEST: usize = FIXED + state::NUMBERS_BYTES + size_of::<u32>();

/// The header of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitHeader {
    /// Commits are numbered through all segments, without gaps.
    pub(crate) number: u64,
    /// The sequence number of the first record.
    pub(crate) first_sequence: u64,
    /// The number of records; 0 for a cursor commit.
    pub(crate) count: u32,
    /// The bytes of the payload, without the zeros.
    pub(crate) payload_bytes: u32,
    /// The checksum of the header of the commit before it.
    pub(crate) previous_checksum: u32,
    pub(crate) state: State,
    /// The length of the header itself.
    length: u32,
    payload_checksum: u32,
    checksum: u32,
}

/// The numbers of a commit that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) nonce: Nonce,
    pub(crate) number: u64,
    pub(crate) first_sequence: u64,
    pub(crate) previous_checksum: u32,
}

impl CommitHeader {
    /// Returns the sequence number behind the last record.
    pub(crate) fn end_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.count)
    }

    /// Returns the bytes of the whole commit: whole blocks.
    pub(crate) fn commit_bytes(&self) -> usize {
        padded(self.length as usize + self.payload_bytes as usize)
    }

    /// Returns the offset of the payload in the commit.
    pub(crate) fn payload_offset(&self) -> usize {
        self.length as usize
    }

    /// Returns the checksum that the next commit names.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Reads a header. `block` begins where the commit begins, and has at least a block, or all that
    /// is left of the segment.
    pub(crate) fn decode(nonce: Nonce, block: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = block;
        if bytes.len() < FIXED || take(&mut bytes, MAGIC.len())? != MAGIC {
            return Err(Malformed::Absent);
        }
        let length = take_u32(&mut bytes)?;
        if take_u64(&mut bytes)? != nonce.0 {
            return Err(Malformed::Absent);
        }
        let sealed = (length as usize).checked_sub(size_of::<u32>());
        let sealed = sealed.filter(|sealed| *sealed >= FIXED);
        let (content, mut checksum) = sealed
            .and_then(|sealed| block.split_at_checked(sealed))
            .ok_or(Malformed::Damaged)?;
        let checksum = take_u32(&mut checksum)?;
        if checksum != nonce.checksum(&[content]) {
            return Err(Malformed::Damaged);
        }
        let number = take_number(&mut bytes)?;
        let first_sequence = take_number(&mut bytes)?;
        let count = take_u32(&mut bytes)?;
        let payload_bytes = take_u32(&mut bytes)?;
        let previous_checksum = take_u32(&mut bytes)?;
        let payload_checksum = take_u32(&mut bytes)?;
        Ok(Self {
            number,
            first_sequence,
            count,
            payload_bytes,
            previous_checksum,
            state: State::take(&mut bytes)?,
            length,
            payload_checksum,
            checksum,
        })
    }

    /// Returns whether these bytes are the remains of a header of this segment, and not of an earlier
    /// life of the file.
    pub(crate) fn has_remains(nonce: Nonce, block: &[u8]) -> bool {
        if Self::nonce_of(block) == Some(nonce) {
            return true;
        }
        // Its first bytes may be what is damaged.
        let mut whole = block.to_vec();
        let Some(first) = whole.get_mut(..2 * size_of::<u64>()) else {
            return false;
        };
        first[..MAGIC.len()].copy_from_slice(MAGIC);
        first[size_of::<u64>()..].copy_from_slice(&nonce.0.to_le_bytes());
        Self::decode(nonce, &whole).is_ok()
    }

    /// Returns the nonce that a header names, if these bytes begin as a header does.
    pub(crate) fn nonce_of(block: &[u8]) -> Option<Nonce> {
        let is_header = block.get(..MAGIC.len())? == MAGIC;
        let mut bytes = block.get(MAGIC.len() + size_of::<u32>()..)?;
        let nonce = take_u64(&mut bytes).ok()?;
        is_header.then_some(Nonce(nonce))
    }

    /// Checks the payload, padding included. `commit` is the whole commit.
    pub(crate) fn check_payload<'a>(
        &self,
        nonce: Nonce,
        commit: &'a [u8],
    ) -> Result<&'a [u8], Malformed> {
        let padded = commit
            .get(self.payload_offset()..self.commit_bytes())
            .ok_or(Malformed::Damaged)?;
        if nonce.checksum(&[padded]) != self.payload_checksum {
            return Err(Malformed::Damaged);
        }
        Ok(&padded[..self.payload_bytes as usize])
    }
}

/// Makes a commit of records in `buffer`, which is cleared first. `payload` are the requests, and
/// `count` their records. Returns the checksum of its header.
pub(crate) fn encode(
    place: Place,
    count: u32,
    payload: &[u8],
    state: &State,
    buffer: &mut Vec<u8>,
) -> u32 {
    buffer.clear();
    buffer.put_slice(MAGIC);
    buffer.put_u32_le(0);
    buffer.put_u64_le(place.nonce.0);
    buffer.put_u64_le(place.number);
    buffer.put_u64_le(place.first_sequence);
    buffer.put_u32_le(count);
    buffer.put_u32_le(narrow(payload.len()));
    buffer.put_u32_le(place.previous_checksum);
    buffer.put_u32_le(0);
    state.put(buffer);
    let length = buffer.len() + size_of::<u32>();
    buffer[4..8].copy_from_slice(&narrow(length).to_le_bytes());
    let zeros = padded(length + payload.len()) - length - payload.len();
    let payload_checksum = place
        .nonce
        .checksum(&[payload, &[0; super::BLOCK][..zeros]]);
    buffer[FIXED - 4..FIXED].copy_from_slice(&payload_checksum.to_le_bytes());
    let checksum = place.nonce.checksum(&[buffer]);
    buffer.put_u32_le(checksum);
    buffer.put_slice(payload);
    buffer.put_bytes(0, zeros);
    checksum
}

/// Returns the bytes of a commit with this state and a payload of so many bytes: whole blocks.
pub(crate) fn bytes(state: &State, payload_bytes: usize) -> usize {
    let ranges = state.cursor.ranges().len().min(state::RANGES_MAX);
    padded(SHORTEST + ranges * state::RANGE_BYTES + payload_bytes)
}

/// Returns the payload of a cursor commit.
pub(crate) fn encode_ranges(cursor: &Cursor, max: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    state::put_ranges(cursor, max, &mut payload);
    payload
}

/// Settles the ranges of a cursor commit.
pub(crate) fn decode_ranges(mut payload: &[u8], cursor: &mut Cursor) -> Result<(), Malformed> {
    state::take_ranges(&mut payload, cursor)
}

/// Returns the lengths that a header can have.
pub(crate) fn header_lengths() -> impl Iterator<Item = usize> {
    (0..=state::RANGES_MAX).map(|ranges| SHORTEST + ranges * state::RANGE_BYTES)
}
