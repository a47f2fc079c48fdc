//! The records that a worker holds, each under a key and, in flight, under a delivery token.

use iem_sink::{DeliveryToken, Record};
use slab::Slab;

use super::load::Load;

/// The low bits of a token: the record's key. The rest is the low end of its number, so that a late
/// report on a record that is gone is not taken for one on a record that has its key now.
const KEY_BITS: u32 = 24;
const LOW: u64 = (1 << KEY_BITS) - 1;

const _: () = assert!(2 * KEY_BITS == DeliveryToken::BITS);

/// A record that a worker holds.
pub(super) struct Entry {
    pub(super) record: Record,
    /// The order in which the worker took records.
    pub(super) number: u64,
    /// The key of its request, and its index there.
    pub(super) request: usize,
    pub(super) index: usize,
    pub(super) unit: usize,
    /// The bytes that its request keeps in memory, if it is the request's last record of its unit.
    pub(super) pinned_bytes: usize,
    /// The flight that it is in, and its position there.
    pub(super) flight: Option<(u64, usize)>,
}

impl Entry {
    pub(super) fn load(&self) -> Load {
        Load::one(self.record.data.len())
    }
}

/// The records of one worker.
#[derive(Default)]
pub(super) struct Entries {
    slab: Slab<Entry>,
    numbers: u64,
}

impl Entries {
    /// Adds a record, and returns its key.
    pub(super) fn add(
        &mut self,
        record: Record,
        request: usize,
        index: usize,
        unit: usize,
    ) -> usize {
        self.numbers += 1;
        self.slab.insert(Entry {
            record,
            number: self.numbers,
            request,
            index,
            unit,
            pinned_bytes: 0,
            flight: None,
        })
    }

    pub(super) fn get(&self, key: usize) -> &Entry {
        &self.slab[key]
    }

    pub(super) fn get_mut(&mut self, key: usize) -> &mut Entry {
        &mut self.slab[key]
    }

    pub(super) fn remove(&mut self, key: usize) -> Entry {
        self.slab.remove(key)
    }

    /// Returns the token of a record.
    pub(super) fn token(&self, key: usize) -> DeliveryToken {
        DeliveryToken((self.slab[key].number & LOW) << KEY_BITS | key as u64)
    }

    /// Returns the key of the record that is in flight under this token, if there is one.
    pub(super) fn in_flight(&self, token: DeliveryToken) -> Option<usize> {
        let key = usize::try_from(token.0 & LOW).ok()?;
        let entry = self.slab.get(key)?;
        let is_it = entry.number & LOW == token.0 >> KEY_BITS && entry.flight.is_some();
        is_it.then_some(key)
    }

    /// Returns the keys of all records in flight.
    pub(super) fn all_in_flight(&self) -> Vec<usize> {
        self.slab
            .iter()
            .filter(|(_, entry)| entry.flight.is_some())
            .map(|(key, _)| key)
            .collect()
    }
}
