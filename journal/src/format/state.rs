//! The state of a journal that each header carries: how far it is settled, and how its records have
//! ended.

use bytes::BufMut;

use super::{Malformed, narrow, take_number, take_u32};
use crate::counts::Counts;
use crate::cursor::Cursor;

/// The most ranges above the cursor that a header carries. A cursor commit carries all.
pub(crate) const RANGES_MAX: usize = 64;

/// The bytes of the numbers of a state, and of one range.
pub(crate) const NUMBERS_BYTES: usize = 5 * size_of::<u64>() + size_of::<u32>();
pub(crate) const RANGE_BYTES: usize = 2 * size_of::<u64>();

/// A cursor and the counts of the same moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) cursor: Cursor,
    pub(crate) counts: Counts,
}

impl State {
    /// Appends the state, with at most [`RANGES_MAX`] of its ranges.
    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        let Counts {
            accepted,
            delivered,
            dead_lettered,
            damaged,
        } = self.counts;
        for number in [
            self.cursor.low(),
            accepted,
            delivered,
            dead_lettered,
            damaged,
        ] {
            buffer.put_u64_le(number);
        }
        put_ranges(&self.cursor, RANGES_MAX, buffer);
    }

    pub(crate) fn take(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let low = take_number(bytes)?;
        let counts = Counts {
            accepted: take_number(bytes)?,
            delivered: take_number(bytes)?,
            dead_lettered: take_number(bytes)?,
            damaged: take_number(bytes)?,
        };
        let mut cursor = Cursor::at(low);
        take_ranges(bytes, &mut cursor)?;
        Ok(Self { cursor, counts })
    }
}

/// Appends the first ranges of a cursor behind their number.
pub(crate) fn put_ranges(cursor: &Cursor, max: usize, buffer: &mut Vec<u8>) {
    let ranges = cursor.ranges().take(max);
    buffer.put_u32_le(narrow(cursor.ranges().len().min(max)));
    for range in ranges {
        buffer.put_u64_le(range.start);
        buffer.put_u64_le(range.end);
    }
}

/// Takes ranges with their number, and settles them.
pub(crate) fn take_ranges(bytes: &mut &[u8], cursor: &mut Cursor) -> Result<(), Malformed> {
    for _ in 0..take_u32(bytes)? {
        let range = take_number(bytes)?..take_number(bytes)?;
        if range.is_empty() {
            return Err(Malformed::Damaged);
        }
        cursor.settle(range);
    }
    Ok(())
}
