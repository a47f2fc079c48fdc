//! One bound on the bytes of all bodies: those being read, with the state of what decompresses
//! them, and the records that wait with a slice of theirs. Counted by what is allocated, given back
//! when the last slice is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The smallest buffer a body of unknown length starts with, in bytes.
const FIRST_ALLOCATION: usize = 4096;

/// A budget of bytes shared by all connections.
#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    limit: usize,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for bodies is used up")]
pub struct Exhausted;

impl Memory {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
        })
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    fn take(&self, bytes: usize) -> Result<(), Exhausted> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.limit {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted);
        }
        Ok(())
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Share {
    /// A share of nothing yet.
    pub fn new(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            bytes: 0,
        }
    }

    /// Grows to `bytes`, if it is smaller.
    ///
    /// # Errors
    /// [`Exhausted`] when the budget has no room for the growth; the share stays as it was.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.bytes {
            self.memory.take(bytes - self.bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.memory
            .used
            .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A buffer whose allocation is counted. It grows by doubling, so it never holds more than twice
/// what was put in, and its last growth stops at the length that is expected.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    counted: Share,
    expected: Option<usize>,
}

impl Buffer {
    /// An empty buffer; `expected` is the length it will have, or the most it can have, where that
    /// is known.
    pub fn new(memory: &Arc<Memory>, expected: Option<usize>) -> Self {
        Self {
            bytes: Vec::new(),
            counted: Share::new(memory),
            expected,
        }
    }

    /// From now on `length` is expected, which may be a guess.
    pub fn expect(&mut self, length: usize) {
        self.expected = Some(length);
    }

    /// Bytes put in so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been put in.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    /// [`Exhausted`] when the budget has no room for the growth; the buffer stays as it was.
    pub fn extend(&mut self, chunk: &[u8]) -> Result<(), Exhausted> {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.counted.bytes {
            let doubled = needed.max(FIRST_ALLOCATION).max(self.counted.bytes * 2);
            let capacity = match self.expected {
                Some(expected) if expected >= needed => expected.min(doubled),
                _ => doubled,
            };
            self.counted.grow_to(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The bytes, which stay counted until the last slice of them is dropped. What the buffer holds
    /// beyond them is given back, as a record may wait for long; up to a quarter is not worth
    /// what it costs, which for a large buffer is memory from the system with each body.
    pub fn freeze(mut self) -> Bytes {
        if self.bytes.len() < self.counted.bytes / 4 * 3 {
            self.bytes.shrink_to_fit();
            self.counted.shrink_to(self.bytes.len());
        }
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_counted_until_its_last_slice_is_dropped() {
        let memory = Memory::new(10_000);
        let mut buffer = Buffer::new(&memory, Some(6));
        buffer.extend(b"abc").expect("there is room");
        buffer.extend(b"def").expect("there is room");
        let body = buffer.freeze();
        let slice = body.slice(2..4);
        drop(body);
        assert_eq!((&slice[..], memory.used()), (&b"cd"[..], 6));
        drop(slice);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn growth_doubles_and_stops_at_the_expected_length() {
        let memory = Memory::new(100_000);
        let mut buffer = Buffer::new(&memory, Some(9_000));
        for (chunk, used) in [(5_000, 5_000), (1, 9_000), (3_999, 9_000), (1, 18_000)] {
            buffer.extend(&vec![b'x'; chunk]).expect("there is room");
            assert_eq!(memory.used(), used, "after {} bytes", buffer.len());
        }
    }

    #[test]
    fn a_body_that_waits_is_counted_by_its_length() {
        let memory = Memory::new(10_000);
        let mut buffer = Buffer::new(&memory, None);
        buffer.extend(b"abc").expect("there is room");
        assert_eq!(memory.used(), FIRST_ALLOCATION);
        let body = buffer.freeze();
        assert_eq!(memory.used(), 3);
        drop(body);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_is_nearly_full_stays_as_it_is() {
        let memory = Memory::new(10_000);
        for (length, used) in [(2_999, 2_999), (3_000, 4_000), (4_000, 4_000)] {
            let mut buffer = Buffer::new(&memory, None);
            buffer.expect(4_000);
            buffer.extend(&[b'x'; 2_500]).expect("there is room");
            buffer
                .extend(&vec![b'x'; length - 2_500])
                .expect("there is room");
            let _body = buffer.freeze();
            assert_eq!(memory.used(), used, "of {length} bytes");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_not_counted() {
        let memory = Memory::new(8_000);
        let mut first = Buffer::new(&memory, Some(5_000));
        first.extend(&[b'x'; 5_000]).expect("there is room");
        let mut second = Buffer::new(&memory, Some(5_000));
        assert_eq!(second.extend(&[b'y'; 5_000]), Err(Exhausted));
        assert_eq!((memory.used(), second.len()), (5_000, 0));
        drop(first);
        second.extend(&[b'y'; 5_000]).expect("there is room again");
    }
}
