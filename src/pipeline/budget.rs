//! How much of a topic's queue is taken, in records and in bytes. Counts from acceptance until the
//! records are settled, so what a worker holds in its batch counts too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a request's records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No room now.
    Full,
    /// More than the queue can ever hold.
    TooLarge,
}

#[derive(Debug)]
pub(super) struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    records_max: usize,
    bytes_max: usize,
}

impl Room {
    pub(super) fn new(records_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            records_max,
            bytes_max,
        })
    }

    pub(super) fn records_max(&self) -> usize {
        self.records_max
    }

    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.records() >= self.records_max || self.bytes() >= self.bytes_max
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A share of the room for a whole request, or none.
    pub(super) fn take(room: &Arc<Self>, records: usize, bytes: usize) -> Result<Place, Refused> {
        if records > room.records_max || bytes > room.bytes_max {
            return Err(Refused::TooLarge);
        }
        // Taken first and looked at then, so that two requests never both get the last place; the
        // `Place` gives back what proves too much.
        let place = Place {
            room: Arc::clone(room),
            records,
            bytes,
        };
        let records_taken = room.records.fetch_add(records, Ordering::Relaxed) + records;
        let bytes_taken = room.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if records_taken > room.records_max || bytes_taken > room.bytes_max {
            return Err(Refused::Full);
        }
        Ok(place)
    }
}

/// A share of a topic's room, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    records: usize,
    bytes: usize,
}

impl Place {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cuts a part off this share.
    pub(super) fn split(&mut self, bytes: usize, records: usize) -> Self {
        self.bytes -= bytes;
        self.records -= records;
        Self {
            room: Arc::clone(&self.room),
            records,
            bytes,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.records.fetch_sub(self.records, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
