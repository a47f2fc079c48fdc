//! The records of a journal that a worker has refused: they stay in the file, and are sent again in
//! order.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use iem_journal::Place;
use iem_sink::Record;

/// The most records that are held back. Beyond that, forwarding waits.
pub(super) const PARKED_MAX: usize = 65_536;

/// A record that is held back, or may have to be: where it is in the journal, and its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parked {
    pub(super) place: Place,
    pub(super) key_hash: u32,
    /// When it was accepted.
    pub(super) time: SystemTime,
}

impl Parked {
    /// `place` is where the record stands in the journal.
    pub(super) fn new(place: Place, record: &Record) -> Self {
        Self {
            place,
            key_hash: record.key_hash(),
            time: record.context.time,
        }
    }
}

/// The records that are held back, by their sequence numbers.
#[derive(Default)]
pub(super) struct Parking {
    records: BTreeMap<u64, Parked>,
    /// The number of records of each key.
    keys: HashMap<u32, usize>,
}

impl Parking {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= PARKED_MAX
    }

    /// Whether a record of this key is held back: later ones have to stay behind it.
    pub(super) fn has_key(&self, key_hash: u32) -> bool {
        self.keys.contains_key(&key_hash)
    }

    pub(super) fn add(&mut self, sequence: u64, record: Parked) {
        if self.records.insert(sequence, record).is_none() {
            *self.keys.entry(record.key_hash).or_default() += 1;
        }
    }

    /// Returns the first record.
    pub(super) fn first(&self) -> Option<(u64, Parked)> {
        let first = self.records.first_key_value();
        first.map(|(sequence, record)| (*sequence, *record))
    }

    /// Returns the first records from a sequence number on whose keys are `wanted`: at most `count`,
    /// all of one commit, with their place.
    pub(super) fn find(
        &self,
        from: u64,
        count: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Option<(Place, Vec<u64>)> {
        let mut records = self
            .records
            .range(from..)
            .filter(|(_, record)| wanted(record.key_hash))
            .peekable();
        let place = records.peek()?.1.place;
        let of_commit = records.take_while(|(_, record)| record.place == place);
        let sequences = of_commit.take(count).map(|(sequence, _)| *sequence);
        Some((place, sequences.collect()))
    }

    pub(super) fn remove(&mut self, sequence: u64) {
        if let Some(record) = self.records.remove(&sequence)
            && let Some(count) = self.keys.get_mut(&record.key_hash)
        {
            *count -= 1;
            if *count == 0 {
                self.keys.remove(&record.key_hash);
            }
        }
    }

    /// Returns the keys with the time of the first record of each.
    pub(super) fn since(&self) -> HashMap<u32, SystemTime> {
        let mut since = HashMap::with_capacity(self.keys.len());
        for record in self.records.values() {
            since.entry(record.key_hash).or_insert(record.time);
        }
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_commit_are_found_in_order_and_keys_are_known_until_the_last() {
        let mut parking = Parking::default();
        let place = |segment| Place::new(segment, 4096, 0);
        for sequence in [7, 3, 5, 9] {
            let record = Parked {
                place: place(u64::from(sequence > 6)),
                key_hash: u32::try_from(sequence % 4).expect("small"),
                time: SystemTime::UNIX_EPOCH,
            };
            parking.add(sequence, record);
        }
        assert_eq!(parking.first().map(|(sequence, _)| sequence), Some(3));
        assert!(parking.has_key(3) && parking.has_key(1) && !parking.has_key(2));
        let all = |_| true;
        assert_eq!(parking.find(0, 10, all), Some((place(0), vec![3, 5])));
        assert_eq!(parking.find(0, 1, all), Some((place(0), vec![3])));
        let others = |key_hash| key_hash != 3;
        assert_eq!(parking.find(0, 10, others), Some((place(0), vec![5])));
        assert_eq!(parking.find(6, 10, others), Some((place(1), vec![9])));
        parking.remove(3);
        assert!(parking.has_key(3), "record 7 has it, too");
        for sequence in [5, 9, 7, 7] {
            parking.remove(sequence);
        }
        assert!(!parking.has_key(1) && parking.find(0, 1, all).is_none());
        assert!(parking.is_empty() && !parking.has_key(3));
    }
}
