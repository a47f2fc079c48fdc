//! The settled sequence numbers of a journal.

use std::collections::BTreeMap;
use std::ops::Range;

/// The lowest sequence number that is not settled, and the settled ranges above it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    low: u64,
    /// The end of each range by its start. Ranges neither touch nor overlap, and all lie above
    /// `low`.
    above: BTreeMap<u64, u64>,
}

impl Cursor {
    /// Returns a cursor with all below `low` settled.
    pub fn at(low: u64) -> Self {
        Self {
            low,
            above: BTreeMap::new(),
        }
    }

    /// Returns the lowest sequence number that is not settled.
    pub fn low(&self) -> u64 {
        self.low
    }

    /// Returns the settled ranges above [`low`](Self::low), in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.above.iter().map(|(start, end)| *start..*end)
    }

    /// Returns whether a sequence number is settled.
    pub fn is_settled(&self, sequence: u64) -> bool {
        let before = self.above.range(..=sequence).next_back();
        sequence < self.low || before.is_some_and(|(_, end)| sequence < *end)
    }

    /// Returns the first sequence number from this one on that is not settled.
    pub fn next_open(&self, sequence: u64) -> u64 {
        let sequence = sequence.max(self.low);
        let before = self.above.range(..=sequence).next_back();
        before.map_or(sequence, |(_, end)| sequence.max(*end))
    }

    /// Returns how many sequence numbers below `end` are settled.
    pub fn settled_below(&self, end: u64) -> u64 {
        let above = self.above.range(..end);
        let above = above.map(|(start, last)| end.min(*last) - start);
        self.low.min(end) + above.sum::<u64>()
    }

    /// Returns the parts of a range that are not settled, in order.
    pub fn open_parts(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut start = self.next_open(range.start);
        while start < range.end {
            let next = self.above.range(start..range.end).next();
            let end = next.map_or(range.end, |(start, _)| *start);
            parts.push(start..end);
            start = self.next_open(end);
        }
        parts
    }

    /// Settles a range. What is settled already stays so.
    pub fn settle(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start.max(self.low), range.end);
        if start >= end {
            return;
        }
        // One range at most begins before this one and reaches it.
        if let Some((first, last)) = self.above.range(..=start).next_back()
            && *last >= start
        {
            (start, end) = (*first, end.max(*last));
        }
        while let Some((first, last)) = self.above.range(start..=end).next() {
            let first = *first;
            end = end.max(*last);
            self.above.remove(&first);
        }
        if start <= self.low {
            self.low = end;
        } else {
            self.above.insert(start, end);
        }
    }

    /// Settles all that another cursor has settled.
    pub fn merge(&mut self, other: &Self) {
        self.settle(0..other.low);
        for range in other.ranges() {
            self.settle(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_is_the_set_of_what_was_settled(
            low in 0_u64..10,
            ranges in prop::collection::vec((0_u64..60, 0_u64..8), 0..30),
        ) {
            let mut cursor = Cursor::at(low);
            let mut settled: BTreeSet<u64> = (0..low).collect();
            for (start, length) in ranges {
                cursor.settle(start..start + length);
                settled.extend(start..start + length);
            }
            for sequence in 0..80 {
                prop_assert_eq!(cursor.is_settled(sequence), settled.contains(&sequence));
                let open = (sequence..100).find(|sequence| !settled.contains(sequence));
                prop_assert_eq!(Some(cursor.next_open(sequence)), open);
            }
            prop_assert_eq!(cursor.low(), cursor.next_open(0));
            let open: Vec<u64> = cursor.open_parts(5..70).into_iter().flatten().collect();
            let expected: Vec<u64> = (5..70).filter(|one| !settled.contains(one)).collect();
            prop_assert_eq!(open, expected);
            let below = settled.range(..40).count() as u64;
            prop_assert_eq!(cursor.settled_below(40), below);
            let mut end = cursor.low();
            for range in cursor.ranges() {
                prop_assert!(range.start > end && range.end > range.start);
                end = range.end;
            }
            let mut merged = Cursor::at(3);
            merged.merge(&cursor);
            cursor.settle(0..3);
            prop_assert_eq!(merged, cursor);
        }
    }
}
