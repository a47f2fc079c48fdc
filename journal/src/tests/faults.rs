//! A disk that fails once, at every operation of a run in turn.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use iem_disk::{Disk, Operation};

use super::oracle::Oracle;
use super::world::{World, config, new_folder};

/// Uses a journal, whatever fails, and checks it at the end and after a restart.
fn run(disk: &Arc<Disk>) {
    let folder = new_folder();
    let nothing = Oracle::default();
    let open = || {
        let config = config(folder.path(), 3);
        World::open(Arc::clone(disk), config, &nothing, &nothing)
    };
    // A start that fails leaves nothing that keeps the next one from it.
    let mut world = open().or_else(|_| open()).expect("a journal");
    for step in 0..30_u64 {
        world.make_spare();
        world.append(&[vec![20, 3_000], vec![0]]);
        if step % 3 == 2 {
            world.settle(|sequence| sequence % 4 != step % 4);
            world.checkpoint();
        }
        world.check_counts();
    }
    assert!(!world.oracle.acknowledged.is_empty());
    // Once the disk is sound, records are taken again.
    world.settle(|_| true);
    for _ in 0..3 {
        world.make_spare();
        world.checkpoint();
    }
    // The failure may have come only now.
    let is_taken = world.append(&[vec![1]]) || {
        world.make_spare();
        world.append(&[vec![1]])
    };
    assert!(is_taken, "{:?}", world.journal.progress.status());
    world.restart();
}

#[test]
fn one_failure_at_any_operation_loses_nothing_and_ends() {
    let disk = Arc::new(Disk::default());
    run(&disk);
    let operations = disk.faults.attempts();
    assert!(operations > 100, "{operations}");
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for number in 1..=operations {
            let disk = Arc::new(Disk::default());
            disk.faults.fail_at(number, kind);
            run(&disk);
        }
    }
}

#[test]
fn nothing_more_is_written_to_a_file_behind_a_write_or_a_sync_that_failed() {
    for operation in [Operation::Write, Operation::Sync] {
        let folder = new_folder();
        let mut world = World::new(folder.path(), 3);
        world.make_spare();
        assert!(world.append(&[vec![10]]));
        world.disk.faults.fail(operation, 1);
        assert!(!world.append(&[vec![10, 5_000]]));
        let path = folder.path().join("00000000000000000000.journal");
        let inode = fs::metadata(&path).expect("a segment").ino();
        let syncs = world.disk.faults.syncs_of(inode);
        let bytes = fs::read(&path).expect("a segment");
        world.settle(|sequence| sequence == 0);
        assert!(world.append(&[vec![10]]));
        assert!(world.append(&[vec![20]]));
        assert_eq!(world.disk.faults.syncs_of(inode), syncs);
        if path.exists() {
            assert_eq!(fs::read(&path).expect("a segment"), bytes);
        }
        assert_eq!(world.journal.progress.status().segments, 1);
        world.restart();
    }
}
