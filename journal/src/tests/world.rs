//! A journal with small segments on a disk whose operations are traced and can fail, and its oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use iem_disk::Disk;
use iem_sink::{Record, testing};
use tempfile::TempDir;

use super::oracle::Oracle;
use crate::format::BLOCK;
use crate::{
    Damage, DamageKind, Journal, JournalConfig, OnDamage, OpenError, Passed, Request, Settlement,
};

/// The blocks of a segment.
const SEGMENT_BLOCKS: usize = 12;

/// Makes a folder, in memory where there is one for that: syncs there are real calls, and fast.
pub(crate) fn new_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder")
}

/// Returns the configuration of a small journal.
pub(crate) fn config(folder: &Path, segments: u64) -> JournalConfig {
    let segment_bytes = (SEGMENT_BLOCKS * BLOCK) as u64;
    JournalConfig {
        folder: folder.to_owned(),
        create: true,
        segment_bytes,
        bytes: segments * segment_bytes,
        on_damage: OnDamage::Report,
    }
}

/// A journal that is open, and what is known of it.
pub(crate) struct World {
    pub(crate) disk: Arc<Disk>,
    config: JournalConfig,
    pub(crate) journal: Journal,
    pub(crate) oracle: Oracle,
    /// The damage that was met since it was opened.
    pub(crate) damages: Vec<Damage>,
    /// The sequence numbers that were read, or passed.
    seen: BTreeSet<u64>,
    /// Those of the last commit.
    last: Range<u64>,
    names: u64,
}

impl World {
    /// Opens a journal that is new.
    pub(crate) fn new(folder: &Path, segments: u64) -> Self {
        let world = Self::open(
            Arc::default(),
            config(folder, segments),
            &Oracle::default(),
            &Oracle::default(),
        );
        world.expect("an empty folder")
    }

    /// Opens a journal whose state is between `oracle` and `later`, reads all of it, and checks it.
    pub(crate) fn open(
        disk: Arc<Disk>,
        config: JournalConfig,
        oracle: &Oracle,
        later: &Oracle,
    ) -> Result<Self, OpenError> {
        let mut journal = Journal::open(Arc::clone(&disk), config.clone())?;
        let damages = std::mem::take(&mut journal.damages);
        let mut world = Self {
            disk,
            config,
            journal,
            oracle: Oracle::default(),
            damages,
            seen: BTreeSet::new(),
            last: 0..0,
            names: 0,
        };
        let read = world.read();
        // A last commit may be torn. Anything else would be damage that nobody has done.
        let is_torn = |damage: &Damage| damage.kind == DamageKind::TornCommit;
        assert!(world.damages.iter().all(is_torn), "{:?}", world.damages);
        world.oracle = oracle.check_restart(later, &read);
        world.names = world.oracle.refused.len() as u64 + 1_000 * (read.len() as u64 + 1);
        world.check_counts();
        Ok(world)
    }

    /// Returns the sequence numbers that damage has cost.
    pub(crate) fn lost(&self) -> BTreeSet<u64> {
        let lost = self.damages.iter().flat_map(|damage| damage.lost.clone());
        lost.flatten().collect()
    }

    /// Reads all records that are left.
    pub(crate) fn read(&mut self) -> BTreeMap<u64, Vec<u8>> {
        let mut all = BTreeMap::new();
        while let Some(read) = self.journal.reader.read().expect("a disk that reads") {
            self.damages.extend(read.damages);
            for (sequence, record) in read.records {
                self.see(sequence);
                assert_eq!(&*record.customer, "1001");
                assert_eq!(&*record.context.kind, "iem.event");
                all.insert(sequence, record.data.to_vec());
            }
        }
        let lost = self.lost();
        let mut open = self.oracle.open().into_iter();
        let is_known = |sequence| self.seen.contains(&sequence) || lost.contains(&sequence);
        assert!(open.all(is_known), "a record is missed");
        all
    }

    /// Has the reader pass the last commit. Returns what it says.
    pub(crate) fn pass(&mut self) -> Option<Passed> {
        let last = self.journal.appender.last()?;
        assert_eq!(last.place().first(), self.last.start);
        let passed = self.journal.reader.pass(&last);
        if passed == Passed::Now {
            let sequences: Vec<_> = self.last.clone().collect();
            let read = self.journal.reader.read_again(last.place(), &sequences);
            let read = read.expect("the disk is read");
            assert!(
                read.iter()
                    .map(|(sequence, _)| *sequence)
                    .eq(self.last.clone())
            );
            for sequence in sequences {
                self.see(sequence);
            }
        }
        Some(passed)
    }

    fn see(&mut self, sequence: u64) {
        assert!(self.seen.last() < Some(&sequence), "out of order");
        self.seen.insert(sequence);
    }

    /// Appends requests with records of these sizes. Returns whether they were taken.
    pub(crate) fn append(&mut self, requests: &[Vec<usize>]) -> bool {
        let records: Vec<Vec<Record>> = requests
            .iter()
            .map(|sizes| sizes.iter().map(|size| self.record(*size)).collect())
            .collect();
        let requests: Vec<_> = records
            .iter()
            .map(|records| Request::new(records))
            .collect();
        let data = records.iter().flatten().map(|record| record.data.to_vec());
        if let Ok(sequences) = self.journal.appender.append(&requests) {
            let count = records.iter().flatten().count() as u64;
            assert_eq!(sequences.end - sequences.start, count);
            self.last = sequences.clone();
            self.oracle.acknowledged.extend(sequences.zip(data));
            return true;
        }
        self.oracle.refused.extend(data);
        false
    }

    fn record(&mut self, size: usize) -> Record {
        self.names += 1;
        let data = format!("{}-{}", self.names, "x".repeat(size));
        testing::record("1001/key", data)
    }

    /// Settles the open records that `chosen` chooses by their sequence numbers.
    pub(crate) fn settle(&mut self, chosen: impl Fn(u64) -> bool) {
        for sequence in self.oracle.open() {
            if chosen(sequence) {
                let how = if sequence.is_multiple_of(5) {
                    Settlement::DeadLettered
                } else {
                    Settlement::Delivered
                };
                self.journal.progress.settle(sequence..sequence + 1, how);
                self.oracle.settled.insert(sequence);
            }
        }
    }

    /// Has the disk know what is settled. Returns whether it does.
    pub(crate) fn checkpoint(&mut self) -> bool {
        let settled = self.oracle.settled.clone();
        let known = self.journal.appender.checkpoint(true).is_ok();
        if known {
            self.oracle.durable.extend(settled);
        }
        known
    }

    /// Makes a spare file, if there is room.
    pub(crate) fn make_spare(&self) -> bool {
        self.journal.spare_maker.make().is_ok()
    }

    /// Appends until a second segment is begun.
    pub(crate) fn begin_second_segment(&mut self) {
        while self.journal.progress.status().segments < 2 {
            self.make_spare();
            assert!(self.append(&[vec![5_000]]));
        }
    }

    /// Checks that the counts balance.
    pub(crate) fn check_counts(&self) {
        let status = self.journal.progress.status();
        let open = self.oracle.open();
        let lost = self.lost();
        assert_eq!(
            status.counts.backlog(),
            open.difference(&lost).count() as u64,
            "{status:?}"
        );
        assert!(status.bytes <= status.bytes_max, "{status:?}");
    }

    /// Ends the process and starts another one, which sees all that was written, synced or not.
    pub(crate) fn restart(self) -> Self {
        let Self {
            disk,
            config,
            journal,
            oracle,
            ..
        } = self;
        drop(journal);
        disk.faults.heal();
        Self::open(disk, config, &oracle, &oracle).expect("a journal")
    }
}
