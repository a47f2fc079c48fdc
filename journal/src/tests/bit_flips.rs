//! Every bit of a small journal flipped.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use iem_disk::Disk;

use super::world::{World, config, new_folder};
use crate::format::BLOCK;
use crate::{DamageKind, Journal, inspect, verify};

const SEGMENTS: u64 = 4;

/// One in so many bits is flipped, unless `EVERY_BIT` is set: all of them take many minutes.
const EVERY: usize = 397;

#[test]
fn each_flipped_bit_is_reported_and_costs_at_most_its_own_request() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), SEGMENTS);
    // The files have been other segments before.
    while world.oracle.acknowledged.len() < 60 {
        if world.append(&[vec![4_000, 100]]) {
            world.settle(|_| true);
        } else {
            world.make_spare();
        }
        world.checkpoint();
    }
    let settled = world.journal.progress.status().low;
    // At least two segments: one is full, the last one has the end.
    for number in 0..14 {
        world.make_spare();
        let requests = [vec![30, 100], vec![5], vec![200; 2 + number % 3]];
        assert!(world.append(&requests), "{number}");
        if number % 4 == 3 {
            world.settle(|sequence| sequence < settled + 3);
            world.checkpoint();
        }
    }
    world.make_spare();
    let acknowledged = world.oracle.acknowledged.clone();
    let settled = world.oracle.settled.clone();
    let last_commit = world.oracle.acknowledged.keys().next_back().copied();
    let last_commit = last_commit.expect("a record") - 5;
    let status = world.journal.progress.status();
    assert!((2..=3).contains(&status.segments), "{status:?}");
    drop(world);

    let inspection = inspect(folder.path()).expect("a journal");
    let mut earlier_lives = 0;
    for segment in inspection.segments {
        let name = format!("{:020}.journal", segment.first_sequence);
        let path = folder.path().join(name);
        let sound = fs::read(&path).expect("a segment");
        let end = usize::try_from(segment.bytes_used).expect("a small file");
        earlier_lives += usize::from(sound[end..].iter().any(|byte| *byte != 0));
        let step = std::env::var_os("EVERY_BIT").map_or(EVERY, |_| 1);
        for bit in (0..end * 8).step_by(step) {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).expect("a segment");
            let at = || format!("{}, byte {}, bit {bit}", path.display(), bit / 8);
            let verification = verify(folder.path(), |_| {}).expect("a journal");
            assert!(!verification.is_sound(), "not reported: {}", at());
            let disk = Arc::new(Disk::default());
            let config = config(folder.path(), SEGMENTS);
            let mut journal = Journal::open(disk, config).expect("a journal");
            let mut damages = std::mem::take(&mut journal.damages);
            let mut read = BTreeSet::new();
            while let Some(found) = journal.reader.read().expect("a disk that reads") {
                damages.extend(found.damages);
                for (sequence, record) in found.records {
                    assert_eq!(acknowledged[&sequence], record.data, "bit {bit}");
                    read.insert(sequence);
                }
            }
            let has_open = segment.end_sequence > status.low;
            let is_header = bit / 8 < BLOCK;
            assert!(!damages.is_empty() || !has_open || !is_header, "{}", at());
            let lost: BTreeSet<u64> = damages
                .iter()
                .flat_map(|damage| damage.lost.clone())
                .flatten()
                .collect();
            let is_torn = damages
                .iter()
                .any(|damage| damage.kind == DamageKind::TornCommit);
            let missing: BTreeSet<u64> = acknowledged
                .keys()
                .copied()
                .filter(|sequence| !settled.contains(sequence) && !read.contains(sequence))
                .collect();
            // The last commit can be taken for one that was not written to its end.
            let unexplained: Vec<_> = missing
                .difference(&lost)
                .filter(|sequence| !(is_torn && **sequence >= last_commit))
                .collect();
            assert!(unexplained.is_empty(), "{unexplained:?}: {}", at());
            assert!(lost.len() <= 7, "{lost:?}: {}", at());
            drop(journal);
        }
        fs::write(&path, &sound).expect("a segment");
    }
    assert!(earlier_lives > 0);
}
