//! One topic's budget of records and bytes. A record counts from its acceptance until it is
//! settled, so records in a worker's batch count too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The error of a request whose records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The topic is full now.
    Full,
    /// The request has more records or bytes than the topic can ever hold.
    TooLarge,
}

/// The budget of one topic.
#[derive(Debug)]
pub(super) struct Budget {
    records: AtomicUsize,
    bytes: AtomicUsize,
    records_max: usize,
    bytes_max: usize,
}

impl Budget {
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

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.records() >= self.records_max || self.bytes() >= self.bytes_max
    }

    /// Reserves what a whole request needs, or nothing.
    pub(super) fn reserve(
        self: &Arc<Self>,
        records: usize,
        bytes: usize,
    ) -> Result<Reservation, SubmitError> {
        if records > self.records_max || bytes > self.bytes_max {
            return Err(SubmitError::TooLarge);
        }
        // The reservation counts first and looks then, so that two requests never both get the last
        // place. If it turns out too large, it gives back what it counted.
        let reservation = Reservation {
            budget: Arc::clone(self),
            records,
            bytes,
        };
        let records_reserved = self.records.fetch_add(records, Ordering::Relaxed) + records;
        let bytes_reserved = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if records_reserved > self.records_max || bytes_reserved > self.bytes_max {
            return Err(SubmitError::Full);
        }
        Ok(reservation)
    }
}

/// A part of a topic's budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    budget: Arc<Budget>,
    records: usize,
    bytes: usize,
}

impl Reservation {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives one record back. Its bytes stay: other records of the request may keep them in memory.
    pub(super) fn give_back_record(&mut self) {
        if self.records > 0 {
            self.records -= 1;
            self.budget.records.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Moves a part of this reservation into one of its own.
    pub(super) fn split(&mut self, records: usize, bytes: usize) -> Self {
        self.records -= records;
        self.bytes -= bytes;
        Self {
            budget: Arc::clone(&self.budget),
            records,
            bytes,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget
            .records
            .fetch_sub(self.records, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
