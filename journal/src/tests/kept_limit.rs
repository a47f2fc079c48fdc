//! The kept size of the largest record, over restarts, power cuts, failing disks and damage.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use iem_disk::testing::choices;
use iem_disk::{Disk, Operation};

use super::world::{config, new_folder};
use crate::{Journal, inspect, verify};

const OF: &str = "kafka events";

fn open(disk: Arc<Disk>, folder: &Path) -> Journal {
    Journal::open(disk, config(folder, 3)).expect("a journal")
}

/// Opens the journal, and returns the limit that it has.
fn kept(folder: &Path) -> Option<usize> {
    open(Arc::default(), folder).progress.kept_limit(OF).bytes()
}

fn keep(folder: &Path, bytes: Option<usize>) {
    let journal = open(Arc::default(), folder);
    let kept = journal.progress.kept_limit(OF).keep(bytes);
    kept.expect("a disk that writes");
}

#[test]
fn a_limit_is_kept_over_restarts_until_there_is_none() {
    let folder = new_folder();
    assert_eq!(kept(folder.path()), None);
    for bytes in [Some(20_000), Some(1), Some(usize::MAX), None, Some(7)] {
        keep(folder.path(), bytes);
        assert_eq!(kept(folder.path()), bytes);
    }
    let journal = open(Arc::default(), folder.path());
    let mut other = journal.progress.kept_limit("kafka metrics");
    assert_eq!(other.bytes(), None, "it is of another topic");
    other.keep(None).expect("a disk that writes");
    drop((journal, other));
    assert_eq!(kept(folder.path()), None, "nobody needs it any more");
}

#[test]
fn what_is_kept_is_no_part_of_the_journal_to_those_who_look() {
    let folder = new_folder();
    keep(folder.path(), Some(20_000));
    fs::write(folder.path().join("limit.tmp"), "IEML").expect("a file");
    let inspection = inspect(folder.path()).expect("a journal");
    assert_eq!((inspection.segments.len(), inspection.damages), (1, vec![]));
    let verification = verify(folder.path(), |_| {}).expect("a journal");
    assert_eq!(verification.damages, []);
    assert!(!crate::is_file("limit") && !crate::is_file("limit.tmp"));
}

#[test]
fn a_damaged_file_tells_nothing_and_is_replaced() {
    let folder = new_folder();
    let path = folder.path().join("limit");
    let damages: [fn(&Path); 5] = [
        |path| fs::write(path, "").expect("a file"),
        |path| fs::write(path, "IEMLIMIT 1\nkafka events\n30000\n").expect("a file"),
        |path| fs::write(path, vec![0xff; 100_000]).expect("a file"),
        |path| symlink("nowhere", path).expect("a link"),
        |path| symlink("next", path).expect("a link"),
    ];
    for damage in damages {
        keep(folder.path(), Some(20_000));
        fs::remove_file(&path).expect("a file");
        damage(&path);
        assert_eq!(kept(folder.path()), None);
        for bytes in [None, Some(30_000)] {
            keep(folder.path(), bytes);
            assert_eq!(kept(folder.path()), bytes);
        }
    }
}

#[test]
fn a_power_cut_leaves_the_limit_or_the_one_before() {
    let folder = new_folder();
    keep(folder.path(), Some(20_000));
    for bytes in [Some(30_000), None] {
        let disk = Arc::new(Disk::default());
        disk.trace.begin(folder.path()).expect("a folder");
        let journal = open(Arc::clone(&disk), folder.path());
        let mut limit = journal.progress.kept_limit(OF);
        let before = limit.bytes();
        limit.keep(bytes).expect("a disk that writes");
        let recording = disk.trace.end();
        drop((journal, limit));
        let end = recording.changes.len();
        for changes in 0..=end {
            for seed in 0..8 {
                let cut = new_folder();
                let done = recording.cut_power(changes, choices(seed), cut.path());
                done.expect("a folder that can be written");
                let found = kept(cut.path());
                assert!(
                    found == bytes || found == before && changes < end,
                    "{changes}"
                );
            }
        }
    }
}

#[test]
fn a_disk_that_fails_leaves_the_limit_or_the_one_before_and_the_next_call_mends_it() {
    let operations = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Rename,
        Operation::Remove,
        Operation::SyncFolder,
    ];
    for operation in operations {
        let folder = new_folder();
        keep(folder.path(), Some(20_000));
        let disk = Arc::new(Disk::default());
        let journal = open(Arc::clone(&disk), folder.path());
        let mut limit = journal.progress.kept_limit(OF);
        disk.faults.fail(operation, 1);
        assert!(limit.keep(Some(30_000)).is_err(), "{operation:?}");
        let found = journal.progress.kept_limit(OF).bytes();
        assert!(matches!(found, Some(20_000 | 30_000)), "{found:?}");
        disk.faults.heal();
        limit.keep(Some(30_000)).expect("a disk that writes");
        let found = journal.progress.kept_limit(OF).bytes();
        assert_eq!((limit.bytes(), found), (Some(30_000), Some(30_000)));
    }
}
