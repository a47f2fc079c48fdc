//! Bounds: a full journal, requests that are too large, folders that are not there.

use std::sync::Arc;

use iem_disk::{Disk, Operation};

use super::world::{World, config, new_folder};
use crate::{AppendError, Journal, JournalConfig, OpenError};

#[test]
fn a_full_journal_refuses_drains_and_takes_again() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    let mut taken = 0;
    loop {
        world.make_spare();
        if !world.append(&[vec![2_000]]) {
            break;
        }
        taken += 1;
    }
    assert!(taken > 10, "{taken}");
    assert!(world.journal.appender.is_full());
    // The disk is full, too: no spare file can be made, and none is needed.
    world.disk.faults.fail(Operation::Create, usize::MAX);
    let status = world.journal.progress.status();
    assert_eq!(status.segments, 2);
    for sequence in 0..status.end {
        world.settle(|one| one <= sequence);
        // In the reserved blocks a cursor commit is written only if it frees a segment.
        world.checkpoint();
    }
    assert!(world.checkpoint());
    assert_eq!(world.journal.progress.status().counts.backlog(), 0);
    assert_eq!(world.journal.progress.status().segments, 1);
    assert!(!world.journal.appender.is_full());
    assert!(world.append(&[vec![2_000]]));
    world.restart();
}

#[test]
fn a_segment_is_removed_only_once_the_disk_knows_that_it_is_settled() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 4);
    world.begin_second_segment();
    world.settle(|_| true);
    world.journal.appender.forget_settled();
    assert_eq!(world.journal.progress.status().segments, 2);
    assert!(world.checkpoint());
    assert_eq!(world.journal.progress.status().segments, 1);
}

#[test]
fn more_settled_ranges_than_a_header_takes_are_kept() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 4);
    world.make_spare();
    assert!(world.append(&[vec![1; 300]]));
    world.settle(|sequence| sequence % 2 == 1);
    assert!(world.checkpoint());
    // This header carries the lowest ones alone.
    assert!(world.append(&[vec![1]]));
    let world = world.restart();
    assert_eq!(world.journal.progress.status().ranges, 150);
}

#[test]
fn a_request_that_no_segment_takes_is_told_so() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    let limit = world.journal.appender.request_bytes_max();
    let record = iem_sink::testing::record("1001/key", vec![b'x'; limit]);
    let records = [record];
    let request = crate::Request::new(&records);
    let refused = world.journal.appender.append(&[request]);
    assert!(
        matches!(refused, Err(AppendError::TooLarge { limit: told }) if told == limit),
        "{refused:?}"
    );
    assert!(world.append(&[vec![limit - 1_000]]));
    world.restart();
}

#[test]
fn a_folder_that_is_not_there_or_in_use_is_an_error() {
    let folder = new_folder();
    let path = folder.path().join("topic");
    let config = JournalConfig {
        create: false,
        ..config(&path, 3)
    };
    let open = |config: &JournalConfig| Journal::open(Arc::new(Disk::default()), config.clone());
    let missing = open(&config).err().expect("no folder");
    assert!(matches!(missing, OpenError::Missing(_)));
    assert!(
        missing.to_string().contains("mount its volume"),
        "{missing}"
    );
    let config = JournalConfig {
        create: true,
        ..config
    };
    let first = open(&config).expect("a journal");
    let second = open(&config).err().expect("it is in use");
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    drop(first);
    open(&config).expect("a journal");
}

#[test]
fn a_later_releases_journal_is_not_touched() {
    let folder = new_folder();
    let world = World::new(folder.path(), 3);
    drop(world);
    let path = folder.path().join("00000000000000000000.journal");
    let mut bytes = std::fs::read(&path).expect("a segment");
    bytes[8] = 2;
    let length = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize;
    let nonce = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
    let checksum = crate::format::Nonce(nonce).checksum(&[&bytes[..length - 4]]);
    bytes[length - 4..length].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, &bytes).expect("a segment");
    let config = config(folder.path(), 3);
    let refused = Journal::open(Arc::new(Disk::default()), config).err();
    let refused = refused.expect("a later release");
    assert!(
        matches!(refused, OpenError::LaterRelease { version: 2, .. }),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).expect("a segment"), bytes);
}
