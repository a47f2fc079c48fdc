//! Failing writes and syncs, and a full disk.

use super::*;
use crate::disk::Operation;

/// Delivers a batch, fails one by a single fault, and delivers it again.
fn fail_once(fault: Operation) -> (Vec<String>, SinkError) {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut *writer, &records[..3]).unwrap();
    sink.root.disk.faults.fail(fault, 1);
    let error = write(&mut *writer, &records[3..]).unwrap_err();
    assert_eq!(
        read_ids(folder.path()),
        ids(&records[..3]),
        "the failed batch is taken off again"
    );
    write(&mut *writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records));
    (file_names(folder.path()), error)
}

#[test]
fn after_a_short_write_the_next_batch_goes_to_a_fresh_file() {
    let (files, error) = fail_once(Operation::Write);
    assert_eq!(files.len(), 2);
    assert_eq!(error.kind, SinkErrorKind::Transient);
    assert!(error.message.contains(&files[0]), "{error}");
}

#[test]
fn after_a_failed_sync_the_next_batch_goes_to_a_fresh_file() {
    assert_eq!(fail_once(Operation::Sync).0.len(), 2);
}

/// A name that is not on the disk may be lost with all that is in the file.
#[test]
fn a_failed_sync_of_the_folder_fails_the_first_batch_of_a_file() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    sink.root.disk.faults.fail(Operation::SyncFolder, 1);
    write(&mut *writer, &numbered(0..3)).unwrap_err();
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
    // Only a new name needs it.
    write(&mut *writer, &numbered(0..3)).unwrap();
    sink.root.disk.faults.fail(Operation::SyncFolder, 1);
    write(&mut *writer, &numbered(3..6)).unwrap();
}

#[test]
fn a_full_disk_leaves_no_litter_and_heals_by_itself() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut *writer, &records[..3]).unwrap();
    sink.root.disk.faults.fail(Operation::Write, usize::MAX);
    for _ in 0..5 {
        let error = write(&mut *writer, &records[3..]).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Transient);
        assert_eq!(file_names(folder.path()).len(), 1);
        let error = sink.check(soon()).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Transient);
    }
    sink.root.disk.faults.heal();
    assert_eq!(sink.check(soon()), Ok(()));
    write(&mut *writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn nothing_is_taken_until_a_failed_batch_is_off_the_file() {
    for (good, undo) in [(3, Operation::SetLen), (0, Operation::Remove)] {
        let folder = TempDir::new().unwrap();
        let sink = open(&config(&folder));
        let mut writer = writer(&sink);
        let records = numbered(0..6);
        write(&mut *writer, &records[..good]).unwrap();
        sink.root.disk.faults.fail(Operation::Write, 1);
        sink.root.disk.faults.fail(undo, 2);
        write(&mut *writer, &records[good..]).unwrap_err();
        let error = write(&mut *writer, &records[good..]).unwrap_err();
        assert!(error.message.contains("take a failed batch off"), "{error}");
        write(&mut *writer, &records[good..]).unwrap();
        assert_eq!(read_ids(folder.path()), ids(&records));
    }
}

#[test]
fn an_idle_writers_damage_is_repaired_in_the_background() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_age: Duration::from_millis(10),
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    sink.root.disk.faults.fail(Operation::Write, 1);
    sink.root.disk.faults.fail(Operation::Remove, 1);
    write(&mut *writer, &numbered(0..3)).unwrap_err();
    wait_until("the torn file is removed", || {
        file_names(folder.path()).is_empty()
    });
}

#[test]
fn a_file_that_is_removed_while_it_is_open_takes_nothing_more() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut *writer, &records[..3]).unwrap();
    fs::remove_file(
        folder
            .path()
            .join(TOPIC)
            .join(&file_names(folder.path())[0]),
    )
    .unwrap();
    write(&mut *writer, &records[3..]).unwrap_err();
    write(&mut *writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records[3..]));
}

#[test]
fn a_missing_topic_folder_is_named() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    fs::remove_dir(folder.path().join(TOPIC)).unwrap();
    let error = write(&mut *writer, &numbered(0..1)).unwrap_err();
    assert!(
        error.message.contains(TOPIC) && error.message.contains("No such file"),
        "{error}"
    );
}

#[test]
fn a_check_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    assert_eq!(sink.check(soon()), Ok(()));
    assert!(sink.check(Instant::now()).is_err());
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [".lock"]);
    sink.root.disk.faults.fail(Operation::Sync, 1);
    assert!(sink.check(soon()).is_err());
    assert_eq!(sink.check(soon()), Ok(()));
}
