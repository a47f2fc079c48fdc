//! Errors that were there once, each with the calls that met it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iem_disk::{Disk, Operation};

use super::world::{World, config, new_folder};
use crate::{Damage, DamageKind, Journal, Request, Settlement};

const SEGMENT_BYTES: usize = 12 * 4096;

fn segment(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.journal"))
}

/// Returns the first sequence numbers of the segments in a folder.
fn segments(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut firsts: Vec<u64> = names
        .filter_map(|name| crate::name::parse(name.to_str()?))
        .collect();
    firsts.sort_unstable();
    firsts
}

#[test]
fn a_reader_misses_no_commit_while_segments_change() {
    const RECORDS: u64 = 20_000;
    /// The fruitless reads after which a record counts as missed.
    const READS_MAX: usize = 5_000_000;
    let folder = new_folder();
    let config = config(folder.path(), 8);
    let journal = Journal::open(Arc::new(Disk::default()), config).expect("a journal");
    let Journal {
        mut appender,
        mut reader,
        progress,
        spare_maker,
        ..
    } = journal;
    let is_over = AtomicBool::new(false);
    let mut next = 0;
    let mut failure = None;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let record = [iem_sink::testing::record("1001/key", vec![b'x'; 5_000])];
            let request = Request::new(&record);
            let mut written = 0;
            while written < RECORDS && !is_over.load(Ordering::Relaxed) {
                spare_maker.make().expect("room");
                match appender.append(&[request]) {
                    Ok(_) => written += 1,
                    Err(_) => appender.checkpoint(true).unwrap_or_default(),
                }
            }
        });
        let mut fruitless = 0;
        while next < RECORDS && failure.is_none() {
            let Some(read) = reader.read().expect("a disk that reads") else {
                fruitless += 1;
                if fruitless == READS_MAX {
                    failure = Some("nothing more is read".to_owned());
                }
                continue;
            };
            fruitless = 0;
            if !read.damages.is_empty() {
                failure = Some(format!("{:?}", read.damages));
            }
            for (sequence, _) in read.records {
                if sequence != next {
                    failure = Some(format!("{sequence} follows"));
                }
                next = sequence + 1;
                progress.settle(sequence..next, Settlement::Delivered);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(failure, None, "behind {next}");
}

#[test]
fn the_largest_requests_leave_room_for_a_cursor() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    let limit = world.journal.appender.request_bytes_max();
    for _ in 0..2 {
        world.make_spare();
        let mut sizes = (0..limit).rev();
        assert!(sizes.any(|size| world.append(&[vec![size]])));
    }
    world.settle(|_| true);
    world.checkpoint();
    world.make_spare();
    assert!(world.append(&[vec![9_000]]), "the journal is full for ever");
    world.restart();
}

#[test]
fn a_torn_commit_does_not_keep_a_journal_on_a_full_disk_from_its_start() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    assert!(world.append(&[vec![10]]));
    world.disk.faults.fail(Operation::Write, 1);
    assert!(!world.append(&[vec![9_000]]));
    let oracle = world.oracle.clone();
    drop(world);
    let disk = Arc::new(Disk::default());
    disk.faults.fail(Operation::Create, usize::MAX);
    let mut world = World::open(disk, config(folder.path(), 3), &oracle, &oracle)
        .expect("a journal that is sound but for its last commit");
    assert_eq!(world.damages[0].kind, DamageKind::TornCommit);
    assert!(world.append(&[vec![10]]));
    world.restart();
}

#[test]
fn a_recycled_segment_does_not_come_back_with_what_it_held() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    // The first segment becomes the third.
    world.begin_second_segment();
    world.settle(|_| true);
    assert!(world.checkpoint());
    assert!(folder.path().join("next").exists());
    // It is begun, and has no commit yet.
    world.disk.faults.fail(Operation::Sync, 1);
    assert!(!world.append(&[vec![5_000]]));
    assert!(world.append(&[vec![1]]));
    let oracle = world.oracle.clone();
    drop(world);
    let last = segments(folder.path()).pop().expect("a segment");
    let path = segment(folder.path(), last);
    let mut bytes = fs::read(&path).expect("a segment");
    let old = bytes.clone();
    // Neither its header nor its commit is to be read.
    bytes[20] ^= 1;
    bytes[4096 + 8] ^= 1;
    fs::write(&path, &bytes).expect("a segment");
    assert_ne!(old, bytes);
    let mut journal = Journal::open(Arc::default(), config(folder.path(), 3)).expect("a journal");
    while let Some(read) = journal.reader.read().expect("a disk that reads") {
        for (sequence, record) in read.records {
            assert_eq!(
                oracle.acknowledged.get(&sequence),
                Some(&record.data.to_vec())
            );
        }
        let losses = read.damages.iter().map(Damage::lost_records);
        assert!(losses.sum::<u64>() <= 1, "{:?}", read.damages);
    }
    let counts = journal.progress.status().counts;
    assert!(counts.damaged <= 1, "{counts:?}");
}

#[test]
fn a_missing_segment_is_reported_although_the_header_behind_it_is_damaged() {
    for damaged in [false, true] {
        let folder = new_folder();
        let mut world = World::new(folder.path(), 6);
        while world.journal.progress.status().segments < 4 {
            world.make_spare();
            assert!(world.append(&[vec![5_000]]));
        }
        let oracle = world.oracle.clone();
        drop(world);
        let firsts = segments(folder.path());
        for missing in 0..3 {
            let copy = new_folder();
            for first in &firsts {
                let mut bytes = fs::read(segment(folder.path(), *first)).expect("a segment");
                assert_eq!(bytes.len(), SEGMENT_BYTES);
                if damaged && *first == firsts[missing + 1] {
                    bytes[100] ^= 1;
                }
                if *first != firsts[missing] {
                    fs::write(segment(copy.path(), *first), bytes).expect("a segment");
                }
            }
            let config = config(copy.path(), 6);
            let mut journal = Journal::open(Arc::default(), config).expect("a journal");
            let mut damages = std::mem::take(&mut journal.damages);
            let mut read = 0;
            while let Some(found) = journal.reader.read().expect("a disk that reads") {
                damages.extend(found.damages);
                read += found.records.len();
            }
            let lost: Vec<u64> = damages
                .iter()
                .flat_map(|damage| damage.lost.clone())
                .flatten()
                .collect();
            let expected: Vec<u64> = (firsts[missing]..firsts[missing + 1]).collect();
            assert_eq!(lost, expected, "{missing}, {damaged}");
            assert_eq!(read + lost.len(), oracle.acknowledged.len());
            let counts = journal.progress.status().counts;
            assert_eq!(counts.damaged, lost.len() as u64);
            assert_eq!(counts.backlog(), read as u64, "{counts:?}");
        }
    }
}

#[test]
fn what_was_saved_from_a_damaged_commit_is_read_again() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    for _ in 0..3 {
        assert!(world.append(&[vec![10, 20], vec![30]]));
    }
    let data = world.oracle.acknowledged.clone();
    drop(world);
    let path = segment(folder.path(), 0);
    let mut bytes = fs::read(&path).expect("a segment");
    bytes[2 * 4096 + 17] ^= 1;
    fs::write(&path, &bytes).expect("a segment");
    let mut journal = Journal::open(Arc::default(), config(folder.path(), 3)).expect("a journal");
    let mut all = 0;
    while let Some(read) = journal.reader.read().expect("a disk that reads") {
        let sequences: Vec<u64> = read.records.iter().map(|(sequence, _)| *sequence).collect();
        all += sequences.len();
        let again = journal.reader.read_again(read.place, &sequences);
        let again = again.expect("the same place");
        let again: Vec<(u64, Vec<u8>)> = again
            .into_iter()
            .map(|(sequence, record)| (sequence, record.data.to_vec()))
            .collect();
        let expected: Vec<_> = sequences
            .iter()
            .map(|sequence| (*sequence, data[sequence].clone()))
            .collect();
        assert_eq!(again, expected);
    }
    assert_eq!(all, data.len());
}

#[test]
fn a_commit_that_could_not_be_read_is_read_the_next_time() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    for _ in 0..4 {
        assert!(world.append(&[vec![10, 20]]));
    }
    let sequences: Vec<u64> = world.oracle.acknowledged.keys().copied().collect();
    drop(world);
    for number in 0.. {
        let disk = Arc::new(Disk::default());
        let config = config(folder.path(), 3);
        let mut journal = Journal::open(Arc::clone(&disk), config).expect("a journal");
        let attempt = disk.faults.attempts() + 1 + number;
        disk.faults.fail_at(attempt, std::io::ErrorKind::Other);
        let mut read = Vec::new();
        let mut failures = 0;
        loop {
            match journal.reader.read() {
                Ok(Some(found)) => read.extend(found.records.iter().map(|(one, _)| *one)),
                Ok(None) => break,
                Err(_) => failures += 1,
            }
        }
        assert_eq!(read, sequences, "read {number}");
        if failures == 0 {
            assert!(number > 4);
            break;
        }
    }
}

#[test]
fn a_commit_that_stands_at_the_place_of_another_one_is_not_taken_for_it() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    for _ in 0..4 {
        assert!(world.append(&[vec![10, 20]]));
    }
    let data = world.oracle.acknowledged.clone();
    drop(world);
    let path = segment(folder.path(), 0);
    let sound = fs::read(&path).expect("a segment");
    // The whole commit, and its payload behind the header alone.
    for skipped in [0, 96] {
        let mut bytes = sound.clone();
        bytes.copy_within(4096 + skipped..2 * 4096, 2 * 4096 + skipped);
        fs::write(&path, &bytes).expect("a segment");
        let config = config(folder.path(), 3);
        let mut journal = Journal::open(Arc::default(), config).expect("a journal");
        let mut lost = Vec::new();
        while let Some(read) = journal.reader.read().expect("a disk that reads") {
            lost.extend(read.damages.into_iter().flat_map(|damage| damage.lost));
            for (sequence, record) in read.records {
                assert_eq!(data[&sequence], record.data, "{sequence}");
            }
        }
        assert_eq!(lost.into_iter().flatten().collect::<Vec<_>>(), [2, 3]);
    }
}

#[test]
fn a_file_with_a_name_beyond_all_sequence_numbers_is_no_segment() {
    let folder = new_folder();
    for first in [u64::MAX, u64::MAX - 10] {
        fs::write(segment(folder.path(), first), "stray").expect("a file");
    }
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    assert!(world.append(&[vec![10]]));
    world.restart();
}
