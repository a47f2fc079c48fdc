//! The oracle: compares what was acknowledged with what the sink holds. It knows neither time nor
//! sinks.
//!
//! For a record it keeps three bits, in words of 64 for each key.

use super::mark::{Batch, Mark};

/// The numbers of lost records that a verdict names.
const NAMED: usize = 10;

/// The acknowledged records of a run, and those that were found.
#[derive(Debug, Default)]
pub struct Oracle {
    keys: Vec<Key>,
    limits: Limits,
    acknowledged: u64,
    found: Found,
}

/// Bounds on keys and numbers. A record beyond them is not one of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The number of keys.
    pub keys: u32,
    /// The number of records of one key.
    pub numbers: u32,
}

/// Counts of what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    acknowledged: u64,
    unacknowledged: u64,
    twice: u64,
    out_of_order: u64,
}

#[derive(Debug, Default)]
struct Key {
    acknowledged: Bits,
    seen: Bits,
    seen_twice: Bits,
    /// The largest number among the acknowledged records that were found.
    latest: Option<u32>,
}

/// The oracle's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// Acknowledged records that are not there.
    pub lost: u64,
    /// The first of them, by key and number.
    pub first_lost: Vec<Mark>,
    /// Records that are there more than once.
    pub twice: u64,
    /// Acknowledged records that first appear behind a later one of their key.
    pub out_of_order: u64,
    /// Records that are there and were not acknowledged.
    pub unacknowledged: u64,
}

impl Oracle {
    /// Makes an oracle of a run within these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Remembers that these records were acknowledged. Returns whether they are within the limits.
    pub fn acknowledge(&mut self, batch: &Batch) -> bool {
        if batch.key >= self.limits.keys || batch.numbers.end > self.limits.numbers {
            return false;
        }
        let key = key(&mut self.keys, batch.key);
        for number in batch.numbers.clone() {
            self.acknowledged += u64::from(key.acknowledged.set(number));
        }
        true
    }

    /// Forgets all that was found.
    pub fn begin_anew(&mut self) {
        self.found = Found::default();
        for key in &mut self.keys {
            key.seen.clear();
            key.seen_twice.clear();
            key.latest = None;
        }
    }

    /// Takes note of a record that was found. To be called in the order in which the sink has the
    /// records of a key.
    pub fn see(&mut self, mark: Mark) {
        let Mark { key: index, number } = mark;
        if index >= self.limits.keys || number >= self.limits.numbers {
            return;
        }
        let key = key(&mut self.keys, index);
        if !key.seen.set(number) {
            self.found.twice += u64::from(key.seen_twice.set(number));
            return;
        }
        if !key.acknowledged.has(number) {
            self.found.unacknowledged += 1;
            return;
        }
        self.found.acknowledged += 1;
        if key.latest.is_some_and(|latest| latest > number) {
            self.found.out_of_order += 1;
        } else {
            key.latest = Some(number);
        }
    }

    /// Returns how many records were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns how many of them were found.
    pub fn found(&self) -> u64 {
        self.found.acknowledged
    }

    /// Returns whether every acknowledged record was found.
    pub fn is_complete(&self) -> bool {
        self.found() == self.acknowledged
    }

    /// Judges what was found so far.
    pub fn verdict(&self) -> Verdict {
        let lost = self.keys.iter().zip(0..).flat_map(|(key, index)| {
            let lost = key.acknowledged.without(&key.seen);
            lost.map(move |number| Mark { key: index, number })
        });
        Verdict {
            acknowledged: self.acknowledged,
            lost: self.acknowledged - self.found(),
            first_lost: lost.take(NAMED).collect(),
            twice: self.found.twice,
            out_of_order: self.found.out_of_order,
            unacknowledged: self.found.unacknowledged,
        }
    }
}

/// Returns the key of this index; makes those before it.
fn key(keys: &mut Vec<Key>, index: u32) -> &mut Key {
    let index = index as usize;
    if keys.len() <= index {
        keys.resize_with(index + 1, Key::default);
    }
    &mut keys[index]
}

/// A set of numbers, one bit each.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Adds a number. Returns whether it is new.
    fn set(&mut self, number: u32) -> bool {
        let (word, bit) = place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn has(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.0.get(word).is_some_and(|found| found & bit != 0)
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the numbers that are not in `other`, in order.
    fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let words = self.0.iter().enumerate();
        words.flat_map(|(word, bits)| {
            let left = bits & !other.0.get(word).copied().unwrap_or(0);
            (0..64)
                .filter(move |bit| left & (1 << bit) != 0)
                .filter_map(move |bit| u32::try_from(word * 64 + bit).ok())
        })
    }
}

fn place(number: u32) -> (usize, u64) {
    (number as usize / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests;
