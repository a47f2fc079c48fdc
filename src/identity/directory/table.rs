//! Entries by their key, in shards that a copy shares with its original: a change costs one shard,
//! not the table.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

/// An entry of a [`Table`].
pub(super) trait Keyed {
    /// Returns the key, which never changes.
    fn key(&self) -> &str;
}

/// A table takes more shards once they have so many times as many entries as there are shards.
const GROWTH: usize = 16;

/// Entries by their key. A look-up computes one hash, whatever the number of shards.
#[derive(Debug)]
pub(super) struct Table<T> {
    /// As many as a power of two.
    shards: Box<[Arc<HashTable<Arc<T>>>]>,
    hasher: RandomState,
    len: usize,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            shards: self.shards.clone(),
            hasher: self.hasher.clone(),
            len: self.len,
        }
    }
}

impl<T: Keyed> Default for Table<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T: Keyed> Table<T> {
    /// Returns an empty table in shards for this number of entries: their number and their size grow
    /// alike, because a change copies the list of shards and one of them.
    pub(super) fn with_capacity(entries: usize) -> Self {
        let count = entries.isqrt().next_power_of_two();
        let capacity = entries / count;
        let shard = || Arc::new(HashTable::with_capacity(capacity));
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            len: 0,
        }
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the entry with this key.
    pub(super) fn get(&self, key: &str) -> Option<&Arc<T>> {
        let hash = self.hasher.hash_one(key);
        self.shards[self.shard(hash)].find(hash, |entry| entry.key() == key)
    }

    /// Adds an entry, or replaces the one with its key, and returns that.
    pub(super) fn insert(&mut self, entry: Arc<T>) -> Option<Arc<T>> {
        let hash = self.hasher.hash_one(entry.key());
        let shard = self.shard(hash);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        if let Some(known) = shard.find_mut(hash, |known| known.key() == entry.key()) {
            return Some(std::mem::replace(known, entry));
        }
        let hasher = &self.hasher;
        shard.insert_unique(hash, entry, |entry| hasher.hash_one(entry.key()));
        self.len += 1;
        self.grow();
        None
    }

    /// Takes more shards for many more entries than the table began with.
    fn grow(&mut self) {
        if self.len <= GROWTH * self.shards.len() * self.shards.len() {
            return;
        }
        let mut larger = Self::with_capacity(self.len);
        for entry in self.iter() {
            larger.insert(Arc::clone(entry));
        }
        *self = larger;
    }

    /// Removes the entry with this key, and returns it.
    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<T>> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        let (entry, _) = shard
            .find_entry(hash, |entry| entry.key() == key)
            .ok()?
            .remove();
        self.len -= 1;
        Some(entry)
    }

    /// Returns all entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Returns all entries in the order of their keys.
    pub(super) fn sorted(&self) -> Vec<&Arc<T>> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        entries
    }

    /// Returns the shard of a hash, by bits that a shard itself does not use.
    fn shard(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.shards.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Word(String, usize);

    impl Keyed for Word {
        fn key(&self) -> &str {
            &self.0
        }
    }

    fn word(number: usize, value: usize) -> Arc<Word> {
        Arc::new(Word(format!("word {number}"), value))
    }

    #[test]
    fn a_table_holds_what_was_put_in_whatever_its_capacity() {
        for capacity in [0, 1, 10, 1_000, 100_000] {
            let mut table = Table::with_capacity(capacity);
            for number in 0..1_000 {
                assert_eq!(table.insert(word(number, 1)), None);
            }
            assert_eq!(table.insert(word(7, 2)), Some(word(7, 1)));
            assert_eq!(table.remove("word 8"), Some(word(8, 1)));
            assert_eq!(table.remove("word 8"), None);
            assert_eq!((table.len(), table.iter().count()), (999, 999));
            assert_eq!(table.get("word 7"), Some(&word(7, 2)));
            assert_eq!(
                (table.get("word 8"), table.get("word 9")),
                (None, Some(&word(9, 1)))
            );
            let keys: Vec<_> = table.sorted().iter().map(|word| word.0.clone()).collect();
            assert!(keys.is_sorted() && keys.len() == 999);
        }
    }

    #[test]
    fn a_change_of_a_copy_copies_one_shard_and_leaves_the_original() {
        let mut original = Table::with_capacity(10_000);
        for number in 0..10_000 {
            original.insert(word(number, 1));
        }
        let mut copy = original.clone();
        copy.insert(word(7, 2));
        assert_eq!(original.get("word 7"), Some(&word(7, 1)));
        assert_eq!(copy.get("word 7"), Some(&word(7, 2)));
        let shards = original.shards.iter().zip(&copy.shards);
        let copied = shards.filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert_eq!(copied.count(), 1);
        assert_eq!(original.shards.len(), 128);
    }

    #[test]
    fn a_table_that_grows_takes_more_shards() {
        let mut table = Table::default();
        for number in 0..10_000 {
            table.insert(word(number, 1));
        }
        assert!(table.shards.len() >= 32, "{}", table.shards.len());
        assert_eq!((table.len(), table.iter().count()), (10_000, 10_000));
        assert_eq!(table.get("word 7"), Some(&word(7, 1)));
    }
}
