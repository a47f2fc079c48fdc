//! The records of the last commits, for a forwarder that keeps up: it does not read what is still in
//! memory.

use std::collections::VecDeque;

use bytes::Bytes;
use iem_journal::{Passed, Written};
use iem_sink::Record;
use parking_lot::Mutex;

use crate::config::FRESH_RECORDS_MAX;
use crate::pipeline::records::Records;

/// The most bytes of records and of what else of their bodies they keep in memory. A forwarder that is
/// further behind reads the journal.
const BYTES_MAX: usize = 1 << 20;

/// The last commits.
#[derive(Default)]
pub(super) struct Fresh(Mutex<Commits>);

#[derive(Default)]
struct Commits {
    in_order: VecDeque<Commit>,
    records: usize,
    held_bytes: usize,
}

/// The records of a commit.
pub(super) struct Commit {
    pub(super) written: Written,
    requests: Vec<Records>,
    records: usize,
    held_bytes: usize,
}

impl Commit {
    /// Takes the records of a commit, which keep so many bytes in memory.
    pub(super) fn new(written: Written, requests: Vec<Records>, held_bytes: usize) -> Self {
        Self {
            written,
            records: requests.iter().map(Records::len).sum(),
            requests,
            held_bytes,
        }
    }

    /// Returns the records in order. Each is a copy, which keeps nothing else of its body in memory.
    pub(super) fn into_records(self) -> impl Iterator<Item = Record> {
        self.requests.into_iter().flatten().map(|record| Record {
            data: Bytes::copy_from_slice(&record.data),
            ..record
        })
    }
}

impl Fresh {
    /// Adds the newest commit. If there is too much, all are forgotten.
    pub(super) fn add(&self, commit: Commit) {
        let mut commits = self.0.lock();
        commits.records += commit.records;
        commits.held_bytes += commit.held_bytes;
        commits.in_order.push_back(commit);
        if commits.records > FRESH_RECORDS_MAX || commits.held_bytes > BYTES_MAX {
            let forgotten = std::mem::take(&mut *commits);
            drop(commits);
            drop(forgotten);
        }
    }

    /// Takes the next commit, if the reader passes it. Those that it has read are forgotten.
    pub(super) fn take(&self, mut pass: impl FnMut(&Written) -> Passed) -> Option<Commit> {
        let mut commits = self.0.lock();
        loop {
            let passed = pass(&commits.in_order.front()?.written);
            if passed == Passed::NotYet {
                return None;
            }
            let commit = commits.in_order.pop_front()?;
            commits.records -= commit.records;
            commits.held_bytes -= commit.held_bytes;
            if passed == Passed::Now {
                return Some(commit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iem_journal::{Journal, JournalConfig, OnDamage, Request};
    use iem_sink::testing::record;
    use smallvec::smallvec;

    use super::*;

    /// Returns a journal's commits, one after the other: each of so many records of so many bytes.
    fn commits<const N: usize>(sizes: [(usize, usize); N]) -> [Commit; N] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = JournalConfig {
            folder: folder.path().join("events"),
            create: true,
            segment_bytes: 4 << 20,
            bytes: 32 << 20,
            on_damage: OnDamage::Refuse,
        };
        let mut journal = Journal::open(Arc::default(), config).expect("the journal opens");
        sizes.map(|(count, bytes)| {
            let mut records: Records = smallvec![record("acme", ""); count];
            // As the writer has them: slices of a body.
            let mut body = Bytes::from("x".repeat(count * bytes));
            for record in &mut records {
                record.data = body.split_to(bytes);
            }
            let appended = journal.appender.append(&[Request::new(&records)]);
            appended.expect("the disk takes it");
            let written = journal.appender.last().expect("there is a last one");
            Commit::new(written, vec![records], count * bytes)
        })
    }

    fn first(commit: Option<&Commit>) -> Option<u64> {
        commit.map(|commit| commit.written.place().first())
    }

    #[test]
    fn commits_are_taken_in_order_and_those_that_were_read_are_left_out() {
        let fresh = Fresh::default();
        for commit in commits([(2, 10), (3, 10), (4, 10)]) {
            fresh.add(commit);
        }
        assert!(fresh.take(|_| Passed::NotYet).is_none());
        let mut passed = [Passed::Before, Passed::Now].into_iter();
        let taken = fresh.take(|_| passed.next().expect("two are enough"));
        let begin = first(taken.as_ref()).expect("the second one");
        assert_eq!(taken.expect("it is there").into_records().count(), 3);
        let taken = fresh.take(|_| Passed::Now);
        assert_eq!(first(taken.as_ref()), Some(begin + 3));
        assert!(fresh.take(|_| Passed::Now).is_none());
    }

    #[test]
    fn records_pin_nothing_of_their_body() {
        let fresh = Fresh::default();
        let [commit] = commits([(2, 10)]);
        let data = commit.requests[0][0].data.clone();
        fresh.add(commit);
        let taken = fresh.take(|_| Passed::Now).expect("it is there");
        let first = taken.into_records().next().expect("there are two");
        assert_eq!(first.data, data);
        assert_ne!(first.data.as_ptr(), data.as_ptr());
    }

    #[test]
    fn beyond_the_bounds_all_are_forgotten() {
        for sizes in [
            [(500, 1_000), (500, 1_000), (100, 1_000)],
            [(4_000, 1), (4_000, 1), (1_000, 1)],
        ] {
            let fresh = Fresh::default();
            let [first, second, third] = commits(sizes);
            fresh.add(first);
            fresh.add(second);
            assert!(fresh.take(|_| Passed::NotYet).is_none());
            assert_eq!(fresh.0.lock().in_order.len(), 2);
            fresh.add(third);
            assert!(fresh.take(|_| Passed::Now).is_none());
            let commits = fresh.0.lock();
            assert_eq!((commits.records, commits.held_bytes), (0, 0));
        }
    }

    #[test]
    fn records_that_keep_a_large_body_in_memory_are_not_kept() {
        let fresh = Fresh::default();
        let [commit] = commits([(2, 10)]);
        fresh.add(Commit {
            held_bytes: BYTES_MAX + 1,
            ..commit
        });
        assert!(fresh.take(|_| Passed::Now).is_none());
    }
}
