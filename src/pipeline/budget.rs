//! One topic's budget of records and bytes. A record counts from its acceptance until it is
//! settled, so records in a worker's batch count too. Each customer, user and peer has a share of
//! it, beyond which it alone is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::shares::{Claims, queue_size};

/// The error of a request whose records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The topic is full now.
    Full,
    /// A customer, user or peer of the request holds as much of the topic as it may now.
    OverShare,
    /// The request has more records or bytes than one customer may ever hold.
    TooLarge,
}

/// The budget of one topic.
pub(super) struct Budget {
    records: AtomicUsize,
    bytes: AtomicUsize,
    request_records_max: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Budget {
    /// Creates a budget of which one customer alone may hold so many records, and a request so many
    /// bytes.
    pub(super) fn new(customer_records_max: usize, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            request_records_max: customer_records_max,
            records_max: queue_size(customer_records_max),
            bytes_max,
        })
    }

    /// Returns the most records of one request.
    pub(super) fn request_records_max(&self) -> usize {
        self.request_records_max
    }

    /// Returns the most records of all requests.
    pub(super) fn records_max(&self) -> usize {
        self.records_max
    }

    /// Returns the most bytes of all requests.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
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

    /// Returns whether there is room for one more record. A single one always has it.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let records = self.records();
        records == 0 || records < self.records_max && self.bytes() + bytes <= self.bytes_max
    }

    /// Reserves one record for which there [is room](Self::has_room): nobody else reserves here.
    pub(super) fn reserve_one(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Reservation {
            budget: Arc::clone(self),
            records: 1,
            bytes,
            claims: Arc::default(),
        }
    }

    /// Reserves what a whole request needs, or nothing.
    pub(super) fn reserve(
        self: &Arc<Self>,
        records: usize,
        bytes: usize,
        claims: Claims,
    ) -> Result<Reservation, SubmitError> {
        if records > self.request_records_max || bytes > self.bytes_max {
            return Err(SubmitError::TooLarge);
        }
        // The reservation counts first and looks then, so that two requests never both get the last
        // place. If it turns out too large, it gives back what it counted.
        let reservation = Reservation {
            budget: Arc::clone(self),
            records,
            bytes,
            claims: Arc::new(claims),
        };
        let records_reserved = self.records.fetch_add(records, Ordering::Relaxed) + records;
        let bytes_reserved = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let free_records = self.records_max.checked_sub(records_reserved);
        let free_bytes = self.bytes_max.checked_sub(bytes_reserved);
        let (Some(free_records), Some(free_bytes)) = (free_records, free_bytes) else {
            return Err(SubmitError::Full);
        };
        if !reservation.claims.are_within(free_records, free_bytes) {
            return Err(SubmitError::OverShare);
        }
        Ok(reservation)
    }
}

/// A part of a topic's budget, given back when dropped.
pub(super) struct Reservation {
    budget: Arc<Budget>,
    records: usize,
    bytes: usize,
    /// Given back with the last part of the request, so that a request holds its share as long as it
    /// holds anything.
    claims: Arc<Claims>,
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
            claims: Arc::clone(&self.claims),
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
