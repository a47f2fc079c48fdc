//! One budget for the bytes of all request bodies.
//!
//! It counts bodies that are being read, the state of their decoders, and bodies that waiting
//! records hold a slice of. It counts allocated bytes, not used ones, and never gives bytes back
//! before the last slice of a body is dropped. Who sends a body holds its bytes, and may hold only a
//! share of them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::shares::Account;

/// Bytes of the first allocation for a body of unknown length.
const FIRST_ALLOCATION: usize = 4096;

/// A budget of bytes that all connections share, as it is there for one sender.
pub struct MemoryBudget {
    total: Arc<Total>,
    /// The parties that hold what is reserved here. Without any, everything is there for the taking.
    parties: SmallVec<[Arc<Account>; 2]>,
}

/// The bytes of all senders.
struct Total {
    used: AtomicUsize,
    limit: usize,
}

/// The error of a [`MemoryBudget`] that has too few bytes left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// All bytes are in use.
    #[error("the memory for bodies is used up")]
    All,
    /// The sender holds as much as it may while others use the rest.
    #[error("the sender's share of the memory for bodies is used up")]
    Share,
}

impl MemoryBudget {
    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::new(Total {
                used: AtomicUsize::new(0),
                limit,
            }),
            parties: SmallVec::new(),
        })
    }

    /// Returns the same budget for a sender that these parties answer for.
    pub fn held_by(&self, parties: impl IntoIterator<Item = Arc<Account>>) -> Arc<Self> {
        Arc::new(Self {
            total: Arc::clone(&self.total),
            parties: parties.into_iter().collect(),
        })
    }

    /// Returns the bytes that all senders have reserved now.
    pub fn used(&self) -> usize {
        self.total.used.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the whole budget.
    pub fn limit(&self) -> usize {
        self.total.limit
    }

    fn reserve(&self, bytes: usize) -> Result<(), Exhausted> {
        let used = self.total.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let Some(free) = self.total.limit.checked_sub(used) else {
            self.total.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Exhausted::All);
        };
        let mut is_within = true;
        for party in &self.parties {
            is_within &= party.hold_memory(bytes, free);
        }
        if !is_within {
            self.release(bytes);
            return Err(Exhausted::Share);
        }
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.total.used.fetch_sub(bytes, Ordering::Relaxed);
        for party in &self.parties {
            party.release_memory(bytes);
        }
    }
}

/// Bytes reserved in a [`MemoryBudget`]. Dropping it gives them back.
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl Reservation {
    /// Creates a reservation of no bytes.
    pub fn new(budget: &Arc<MemoryBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Reserves `bytes` if half of the budget stays free, for a use that the gateway can do without.
    /// Such uses leave the other half to bodies.
    pub fn spare(budget: &Arc<MemoryBudget>, bytes: usize) -> Option<Self> {
        if budget.used().saturating_add(bytes) > budget.limit() / 2 {
            return None;
        }
        let mut reservation = Self::new(budget);
        reservation.grow_to(bytes).ok()?;
        Some(reservation)
    }

    /// Grows to `bytes`, if it is smaller than that.
    ///
    /// # Errors
    /// [`Exhausted`] if the budget has too few bytes left; the reservation stays as it was.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.bytes {
            self.budget.reserve(bytes - self.bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.budget.release(self.bytes - bytes);
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A buffer whose allocation counts against a [`MemoryBudget`].
///
/// Its capacity doubles when it grows, so it never holds more than twice its bytes. The last growth
/// stops at the expected length.
pub struct Buffer {
    bytes: Vec<u8>,
    reservation: Reservation,
    expected: Option<usize>,
}

impl Buffer {
    /// Creates an empty buffer. `expected` is its final or its largest length, if that is known.
    pub fn new(budget: &Arc<MemoryBudget>, expected: Option<usize>) -> Self {
        Self {
            bytes: Vec::new(),
            reservation: Reservation::new(budget),
            expected,
        }
    }

    /// Sets the expected length, which may be a guess.
    pub fn expect(&mut self, length: usize) {
        self.expected = Some(length);
    }

    /// Returns the number of bytes in the buffer.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the buffer holds no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Allocates `capacity` bytes at once, if the buffer has less than that.
    ///
    /// # Errors
    /// [`Exhausted`] if the budget has too few bytes left; the buffer stays as it was.
    pub fn allocate(&mut self, capacity: usize) -> Result<(), Exhausted> {
        if capacity > self.reservation.bytes {
            self.reservation.grow_to(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        Ok(())
    }

    /// Appends `chunk`.
    ///
    /// # Errors
    /// [`Exhausted`] if the budget has too few bytes left; the buffer stays as it was.
    pub fn extend(&mut self, chunk: &[u8]) -> Result<(), Exhausted> {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.reservation.bytes {
            let doubled = needed.max(FIRST_ALLOCATION).max(self.reservation.bytes * 2);
            let capacity = match self.expected {
                Some(expected) if expected >= needed => expected.min(doubled),
                _ => doubled,
            };
            self.allocate(capacity)?;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Returns the bytes, which stay counted until the last slice of them is dropped. At most a third
    /// more than their length is counted.
    ///
    /// A record may wait for long, so unused capacity is given back if it is more than a quarter.
    /// Less is not worth the reallocation: a large buffer would fetch memory from the system for
    /// each body.
    pub fn freeze(mut self) -> Bytes {
        if self.bytes.len() < self.reservation.bytes / 4 * 3 {
            self.bytes.shrink_to_fit();
            self.reservation.shrink_to(self.bytes.len());
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
    use crate::shares::Ledger;

    #[test]
    fn a_body_counts_until_its_last_slice_is_dropped() {
        let memory = MemoryBudget::new(10_000);
        let mut buffer = Buffer::new(&memory, Some(6));
        buffer.extend(b"abc").expect("it fits");
        buffer.extend(b"def").expect("it fits");
        let body = buffer.freeze();
        let slice = body.slice(2..4);
        drop(body);
        assert_eq!((&slice[..], memory.used()), (&b"cd"[..], 6));
        drop(slice);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn growth_doubles_and_stops_at_the_expected_length() {
        let memory = MemoryBudget::new(100_000);
        let mut buffer = Buffer::new(&memory, Some(9_000));
        for (chunk, used) in [(5_000, 5_000), (1, 9_000), (3_999, 9_000), (1, 18_000)] {
            buffer.extend(&vec![b'x'; chunk]).expect("it fits");
            assert_eq!(memory.used(), used, "after {} bytes", buffer.len());
        }
    }

    #[test]
    fn an_allocation_is_made_and_counted_at_once() {
        let memory = MemoryBudget::new(10_000);
        let mut buffer = Buffer::new(&memory, None);
        buffer.allocate(6_000).expect("it fits");
        assert_eq!((memory.used(), buffer.bytes.capacity()), (6_000, 6_000));
        buffer.extend(&[b'x'; 6_000]).expect("it fits");
        assert_eq!((memory.used(), buffer.bytes.capacity()), (6_000, 6_000));
        assert_eq!(buffer.allocate(10_001), Err(Exhausted::All));
        assert_eq!((memory.used(), buffer.len()), (6_000, 6_000));
    }

    #[test]
    fn a_waiting_body_counts_by_its_length() {
        let memory = MemoryBudget::new(10_000);
        let mut buffer = Buffer::new(&memory, None);
        buffer.extend(b"abc").expect("it fits");
        assert_eq!(memory.used(), FIRST_ALLOCATION);
        let body = buffer.freeze();
        assert_eq!(memory.used(), 3);
        drop(body);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_buffer_that_is_nearly_full_is_not_reallocated() {
        let memory = MemoryBudget::new(10_000);
        for (length, used) in [(2_999, 2_999), (3_000, 4_000), (4_000, 4_000)] {
            let mut buffer = Buffer::new(&memory, None);
            buffer.expect(4_000);
            buffer.extend(&[b'x'; 2_500]).expect("it fits");
            buffer.extend(&vec![b'x'; length - 2_500]).expect("it fits");
            let _body = buffer.freeze();
            assert_eq!(memory.used(), used, "of {length} bytes");
        }
    }

    #[test]
    fn bytes_beyond_the_budget_are_rejected_and_not_counted() {
        let memory = MemoryBudget::new(8_000);
        let mut first = Buffer::new(&memory, Some(5_000));
        first.extend(&[b'x'; 5_000]).expect("it fits");
        let mut second = Buffer::new(&memory, Some(5_000));
        assert_eq!(second.extend(&[b'y'; 5_000]), Err(Exhausted::All));
        assert_eq!((memory.used(), second.len()), (5_000, 0));
        drop(first);
        second.extend(&[b'y'; 5_000]).expect("it fits again");
    }

    #[test]
    fn a_sender_holds_no_more_than_a_multiple_of_what_it_leaves_free() {
        let ledger = Ledger::new(0, 1);
        let memory = MemoryBudget::new(1_200);
        let of = |name: &str| memory.held_by([ledger.user(&name.into())]);
        let reserve = |name: &str, bytes| {
            let mut reservation = Reservation::new(&of(name));
            reservation.grow_to(bytes).map(|()| reservation)
        };
        let flood: Vec<_> = (0..9).map_while(|_| reserve("a", 100).ok()).collect();
        assert_eq!((flood.len(), memory.used()), (8, 800), "two thirds");
        assert_eq!(reserve("a", 1).err(), Some(Exhausted::Share));
        let other = reserve("b", 250).expect("it has a share of its own");
        assert_eq!(reserve("b", 100).err(), Some(Exhausted::Share));
        drop(flood);
        assert_eq!(memory.used(), 250);
        drop(other);
        assert_eq!(memory.used(), 0);
        assert!(reserve("a", 800).is_ok(), "it holds nothing more");
        assert_eq!(reserve("a", 1_201).err(), Some(Exhausted::All));
    }

    #[test]
    fn a_spare_reservation_leaves_half_of_the_budget() {
        let budget = MemoryBudget::new(1_000);
        let spare = Reservation::spare(&budget, 500).expect("half of the budget is free");
        assert_eq!(budget.used(), 500);
        assert!(Reservation::spare(&budget, 1).is_none());
        assert!(Reservation::spare(&budget, usize::MAX).is_none());
        drop(spare);
        assert_eq!(budget.used(), 0);
    }
}
