//! Inspection, verification and export, beside a running journal and without one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iem_disk::{Disk, Operation};

use super::world::{World, config, new_folder};
use crate::{
    DamageKind, Export, Inspection, Journal, OpenError, PassProgress, Request, Selection,
    Settlement, Verification, inspect, verify,
};

/// Returns a journal of several segments, the first of which is settled and not removed.
fn filled(folder: &Path) -> World {
    let mut world = World::new(folder, 5);
    for _ in 0..24 {
        world.make_spare();
        assert!(world.append(&[vec![500, 3_000], vec![10]]));
    }
    world.settle(|sequence| sequence < 40 || sequence % 3 == 0);
    // The disk knows it, and nobody has removed the segment.
    world.disk.faults.fail(Operation::Remove, 10);
    assert!(world.checkpoint());
    world.disk.faults.heal();
    world
}

fn verified(folder: &Path) -> Verification {
    let mut last = PassProgress::default();
    let verified = verify(folder, |progress| {
        assert!(progress.bytes >= last.bytes && progress.bytes <= progress.bytes_total);
        last = progress;
    });
    verified.expect("a folder that can be read")
}

fn exported(folder: &Path, selection: Selection) -> (BTreeMap<u64, Vec<u8>>, BTreeSet<u64>) {
    let mut export = Export::open(folder, selection).expect("a folder that can be read");
    let mut records = BTreeMap::new();
    for next in &mut export {
        let (sequence, record) = next.expect("a disk that reads");
        let last = records.last_key_value();
        assert!(last.is_none_or(|(last, _)| *last < sequence));
        records.insert(sequence, record.data.to_vec());
    }
    let lost = export
        .damages()
        .iter()
        .flat_map(|damage| damage.lost.clone());
    (records, lost.flatten().collect())
}

fn contents(folder: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (entry.file_name(), fs::read(entry.path()).expect("a file"))
    };
    entries.map(read).collect()
}

#[test]
fn a_look_tells_what_the_journal_knows_and_changes_nothing() {
    let folder = new_folder();
    let world = filled(folder.path());
    let status = world.journal.progress.status();
    let before = contents(folder.path());
    let check = |is_held: bool| {
        let inspection: Inspection = inspect(folder.path()).expect("a journal");
        assert_eq!(inspection.holder.is_some(), is_held);
        assert_eq!(inspection.counts, status.counts);
        assert_eq!((inspection.low, inspection.end), (status.low, status.end));
        assert_eq!(inspection.settled.len(), status.ranges);
        assert_eq!(inspection.damages, []);
        assert!(!inspection.is_being_written && inspection.oldest.is_some());
        let commits = inspection.segments.iter().map(|segment| segment.commits);
        // 24 of records, and the cursor's.
        assert_eq!(commits.sum::<Option<u64>>(), Some(25), "{inspection:?}");
        let used = inspection.segments.iter().map(|segment| segment.bytes_used);
        assert!(inspection.backlog_bytes < used.sum() && inspection.backlog_bytes > 4096);
        let verification = verified(folder.path());
        assert!(verification.is_sound(), "{verification:?}");
        assert_eq!(verification.commits, 25);
        assert_eq!(verification.records, 24 * 3);
        assert_eq!(verification.holder.is_some(), is_held);
        let (records, _) = exported(folder.path(), Selection::Unsettled);
        let open = world.oracle.open();
        assert_eq!(records.keys().copied().collect::<BTreeSet<_>>(), open);
        let (records, _) = exported(folder.path(), Selection::All);
        assert_eq!(records, world.oracle.acknowledged);
    };
    check(true);
    assert_eq!(contents(folder.path()), before);
    let copy = new_folder();
    for (name, bytes) in before.iter().filter(|(name, _)| *name != ".lock") {
        fs::write(copy.path().join(name), bytes).expect("a file");
    }
    let copied = contents(copy.path());
    let inspection = inspect(copy.path()).expect("a journal");
    assert_eq!(inspection.holder, None);
    assert!(verified(copy.path()).is_sound());
    assert_eq!(contents(copy.path()), copied, "not even a lock file");
    let World { journal, .. } = world;
    drop(journal);
    assert_eq!(inspect(folder.path()).expect("a journal").holder, None);
}

#[test]
fn a_folder_that_is_empty_or_missing_is_told_so() {
    let folder = new_folder();
    let inspection = inspect(folder.path()).expect("an empty folder");
    assert!(inspection.segments.is_empty() && inspection.counts.backlog() == 0);
    assert!(verified(folder.path()).is_sound());
    let missing = inspect(&folder.path().join("topic")).expect_err("no folder");
    assert!(matches!(missing, OpenError::Missing(_)));
}

#[test]
fn a_commit_that_is_being_written_is_no_damage_beside_the_gateway_that_writes_it() {
    let folder = new_folder();
    let mut world = World::new(folder.path(), 3);
    world.make_spare();
    assert!(world.append(&[vec![10]]));
    world.disk.faults.fail(Operation::Write, 1);
    assert!(!world.append(&[vec![9_000]]));
    let verification = verified(folder.path());
    assert!(verification.is_sound() && verification.is_being_written);
    assert!(inspect(folder.path()).expect("a journal").is_being_written);
    drop(world);
    let verification = verified(folder.path());
    assert!(!verification.is_being_written);
    assert_eq!(verification.damages.len(), 1);
    assert_eq!(verification.damages[0].kind, DamageKind::TornCommit);
}

#[test]
fn verification_names_exactly_the_records_that_cannot_be_exported() {
    let folder = new_folder();
    let world = filled(folder.path());
    let open = world.oracle.open();
    let acknowledged = world.oracle.acknowledged.clone();
    drop(world);
    for (name, sound) in contents(folder.path()) {
        let path = folder.path().join(&name);
        if path.extension().is_none_or(|end| end != "journal") {
            continue;
        }
        for bit in (0..sound.len() * 8).step_by(3_989) {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).expect("a segment");
            let verification = verified(folder.path());
            let lost = verification
                .damages
                .iter()
                .flat_map(|damage| damage.lost.clone());
            let lost: BTreeSet<u64> = lost.flatten().collect();
            let (records, lost_to_export) = exported(folder.path(), Selection::Unsettled);
            let missing = open
                .iter()
                .filter(|sequence| !records.contains_key(sequence));
            let at = format!("{}, bit {bit}", path.display());
            assert_eq!(missing.copied().collect::<BTreeSet<_>>(), lost, "{at}");
            assert_eq!(lost_to_export, lost, "{at}");
            assert!(lost.is_empty() || !verification.is_sound());
            let (all, _) = exported(folder.path(), Selection::All);
            for (sequence, data) in all {
                assert_eq!(acknowledged[&sequence], data, "{at}");
            }
        }
        fs::write(&path, &sound).expect("a segment");
    }
}

#[test]
fn a_running_journal_is_sound_whenever_it_is_looked_at() {
    let folder = new_folder();
    let config = config(folder.path(), 6);
    let journal = Journal::open(Arc::new(Disk::default()), config).expect("a journal");
    let Journal {
        mut appender,
        mut reader,
        progress,
        spare_maker,
        ..
    } = journal;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let record = [iem_sink::testing::record("1001/key", vec![b'x'; 9_000])];
            let request = Request::new(&record);
            while !is_over.load(Ordering::Relaxed) {
                let _ = spare_maker.make();
                if appender.append(&[request]).is_err() {
                    let _ = appender.checkpoint(true);
                }
                if let Ok(Some(read)) = reader.read() {
                    for (sequence, _) in read.records {
                        progress.settle(sequence..sequence + 1, Settlement::Delivered);
                    }
                }
            }
        });
        let look = || -> Result<(), String> {
            for _ in 0..300 {
                let inspection = inspect(folder.path()).map_err(|error| error.to_string())?;
                if !inspection.damages.is_empty() {
                    return Err(format!("{inspection:?}"));
                }
                let verification =
                    verify(folder.path(), |_| {}).map_err(|error| error.to_string())?;
                if !verification.is_sound() {
                    return Err(format!("{verification:?}"));
                }
            }
            Ok(())
        };
        let looked = look();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(looked, Ok(()));
    });
}
