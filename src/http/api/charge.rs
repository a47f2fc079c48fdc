//! Charges a request's records to their customers' quotas, and gives back what is charged in vain.
//!
//! A charge stays unless it is given back: the records of a client that disconnects may be
//! delivered.

use iem_sink::Record;
use smallvec::SmallVec;

use super::ingest::{Accepted, Runs, ranges, totals};
use super::rejection::Rejection;
use super::resources::Resources;
use crate::identity::directory::Customer;
use crate::identity::quota::{QuotaTime, Quotas};

/// Takes from a customer's quota for one record, and counts a record that is over it.
fn take(
    resources: &Resources,
    customer: &Customer,
    records: usize,
    bytes: usize,
) -> Result<(), Rejection> {
    let taken = resources.quotas.take(customer, records, bytes);
    taken.map_err(|over| {
        resources.metrics.over_quota(1);
        resources.metrics.customers().add(&customer.id, 0, 1);
        over.into()
    })
}

/// Returns why a request is rejected, one part of which was rejected for its customer's quota.
/// It is as that part, unless all records of a customer are more than its quota ever takes at once.
pub(super) fn over_quota<'a>(
    quotas: &Quotas,
    rejection: Rejection,
    parts: impl IntoIterator<Item = &'a Accepted>,
) -> Rejection {
    let parts = parts.into_iter();
    let parts = parts.map(|part| (&part.records[..], &part.customers));
    let may_pass =
        totals(parts).all(|total| quotas.may_take(total.customer, total.records, total.bytes));
    if may_pass {
        rejection
    } else {
        Rejection::OverBurst
    }
}

/// The charge of one request.
#[derive(Default)]
pub(super) struct Charge {
    /// The bytes of each record. Empty if no customer of the request has a quota.
    lengths: SmallVec<[usize; 1]>,
    time: QuotaTime,
}

impl Charge {
    /// Charges all records or none.
    pub(super) fn take(resources: &Resources, accepted: &Accepted) -> Result<Self, Rejection> {
        let Accepted {
            records, customers, ..
        } = accepted;
        let charge = Self::of(&resources.quotas, records, customers);
        if charge.lengths.is_empty() {
            return Ok(charge);
        }
        for (customer, range) in ranges(customers) {
            let bytes = charge.lengths[range.clone()].iter().sum();
            let taken = resources.quotas.take(customer, range.len(), bytes);
            if let Err(over) = taken {
                charge.give_back(&resources.quotas, customers, |index| index < range.start);
                return Err(over_quota(&resources.quotas, over.into(), [accepted]));
            }
        }
        Ok(charge)
    }

    /// Charges one record to its customer before its bytes are known.
    pub(super) fn take_one(resources: &Resources, customer: &Customer) -> Result<Self, Rejection> {
        let mut charge = Self {
            time: resources.quotas.time(),
            ..Self::default()
        };
        if resources.quotas.has_quota(customer) {
            take(resources, customer, 1, 0)?;
            charge.lengths.push(0);
        }
        Ok(charge)
    }

    /// Charges the bytes of that record.
    pub(super) fn add_bytes(
        &mut self,
        resources: &Resources,
        customer: &Customer,
        bytes: usize,
    ) -> Result<(), Rejection> {
        if let Some(length) = self.lengths.first_mut() {
            take(resources, customer, 0, bytes)?;
            *length = bytes;
        }
        Ok(())
    }

    fn of(quotas: &Quotas, records: &[Record], customers: &Runs) -> Self {
        let is_limited = customers
            .iter()
            .any(|(customer, _)| quotas.has_quota(customer));
        if !is_limited {
            return Self::default();
        }
        Self {
            time: quotas.time(),
            lengths: records.iter().map(|record| record.data.len()).collect(),
        }
    }

    /// Gives back the records of these indexes.
    pub(super) fn give_back(
        &self,
        quotas: &Quotas,
        customers: &Runs,
        is_given_back: impl Fn(usize) -> bool,
    ) {
        if self.lengths.is_empty() {
            return;
        }
        for (customer, range) in ranges(customers) {
            let lengths = range
                .filter(|index| is_given_back(*index))
                .map(|index| self.lengths[index]);
            let (records, bytes) = lengths.fold((0, 0), |(n, sum), length| (n + 1, sum + length));
            if records > 0 {
                quotas.give_back(customer, records, bytes, self.time);
            }
        }
    }
}
