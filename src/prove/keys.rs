//! The pool of keys. A key that is taken is not idle until it is given back, so it has at most one
//! request in flight, and its records have an order.

use std::collections::VecDeque;

use super::mark::Batch;

/// The keys of a run.
#[derive(Debug)]
pub struct KeyPool {
    /// The keys without a request in flight; the one that was used longest ago is the first.
    idle: VecDeque<u32>,
    /// The next number of each key.
    next: Vec<u32>,
    keys_max: usize,
}

impl KeyPool {
    /// Makes a pool of `keys`, which grows to `keys_max` when all are in use.
    pub fn new(keys: usize, keys_max: usize) -> Self {
        let mut pool = Self {
            idle: VecDeque::new(),
            next: Vec::new(),
            keys_max: keys_max.max(keys),
        };
        while pool.next.len() < keys {
            let key = pool.add();
            pool.idle.push_back(key);
        }
        pool
    }

    /// Takes a key for a request of so many records. `None` if as many keys are in use as there may
    /// be.
    pub fn take(&mut self, records: u32) -> Option<Batch> {
        let key = match self.idle.pop_front() {
            Some(key) => key,
            None if self.next.len() < self.keys_max => self.add(),
            None => return None,
        };
        let next = &mut self.next[key as usize];
        let first = *next;
        *next = first.checked_add(records)?;
        Some(Batch {
            key,
            numbers: first..*next,
        })
    }

    /// Gives a key back: its request has been answered, or is given up.
    pub fn give_back(&mut self, key: u32) {
        self.idle.push_back(key);
    }

    fn add(&mut self) -> u32 {
        let key = u32::try_from(self.next.len()).expect("far fewer keys than 2^32");
        self.next.push(0);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_request_in_flight_and_numbers_go_on() {
        let mut pool = KeyPool::new(2, 3);
        let take = |pool: &mut KeyPool| {
            let batch = pool.take(10)?;
            Some((batch.key, batch.numbers))
        };
        assert_eq!(take(&mut pool), Some((0, 0..10)));
        assert_eq!(take(&mut pool), Some((1, 0..10)));
        assert_eq!(take(&mut pool), Some((2, 0..10)), "it grows");
        assert_eq!(take(&mut pool), None, "but not without bound");
        pool.give_back(1);
        pool.give_back(0);
        assert_eq!(take(&mut pool), Some((1, 10..20)));
        assert_eq!(take(&mut pool), Some((0, 10..20)));
    }
}
