//! The bytes of a journal: segments of commits of requests of records. `docs/journal.md` has them one
//! by one.
//!
//! Numbers are little-endian. Each checksum is CRC32C (RFC 3720, appendix B.4), seeded with the
//! segment's nonce, so that what a file held in an earlier life is never taken for its content.
//! Nothing here reads or writes a file.

pub(crate) mod commit;
pub(crate) mod request;
pub(crate) mod segment;
pub(crate) mod state;

use bytes::{Buf, BufMut};
use crc32c::crc32c_append;

/// The unit of all positions and lengths in a segment: no write touches a block that holds
/// acknowledged bytes.
pub(crate) const BLOCK: usize = 4096;

/// The highest sequence number, and the highest number of a commit: no journal gets there, and what
/// names a higher one was not written by a gateway.
pub(crate) const NUMBER_MAX: u64 = 1 << 62;

/// A random number that a segment's checksums are seeded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nonce(pub(crate) u64);

impl Nonce {
    /// Returns the checksum of these parts, one behind the other.
    pub(crate) fn checksum(self, parts: &[&[u8]]) -> u32 {
        let seed = crc32c_append(0, &self.0.to_le_bytes());
        parts
            .iter()
            .fold(seed, |sum, part| crc32c_append(sum, part))
    }

    /// Returns the checksum of what belongs to the record with this sequence number: at another
    /// place, it does not match.
    pub(crate) fn checksum_at(self, sequence: u64, bytes: &[u8]) -> u32 {
        self.checksum(&[&sequence.to_le_bytes(), bytes])
    }
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// They begin as something else: zeros, or the remains of an earlier life of the file.
    #[error("nothing is written here")]
    Absent,
    /// They begin right, and do not match their checksum or their own lengths.
    #[error("the checksum does not match")]
    Damaged,
    /// They are of a later version of the format.
    #[error("written by a later release (format version {0})")]
    Version(u32),
}

/// Returns the length of the blocks that hold so many bytes.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}

/// Narrows a length to the 32 bits that it has in a file. Lengths are bounded by that of a segment.
pub(crate) fn narrow(length: usize) -> u32 {
    u32::try_from(length).expect("a segment has less than 4 GiB")
}

/// Appends text behind its length.
fn put_text(buffer: &mut Vec<u8>, text: &str) {
    buffer.put_u32_le(narrow(text.len()));
    buffer.put_slice(text.as_bytes());
}

/// Takes text with its length.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    let length = take_u32(bytes)? as usize;
    str::from_utf8(take(bytes, length)?).map_err(|_| Malformed::Damaged)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    bytes.split_off(..length).ok_or(Malformed::Damaged)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, Malformed> {
    bytes.try_get_u32_le().map_err(|_| Malformed::Damaged)
}

/// Takes a sequence number or the number of a commit.
fn take_number(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let number = take_u64(bytes)?;
    if number > NUMBER_MAX {
        return Err(Malformed::Damaged);
    }
    Ok(number)
}

fn take_u64(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    bytes.try_get_u64_le().map_err(|_| Malformed::Damaged)
}
