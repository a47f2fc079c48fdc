//! Failing writes and syncs, and a full disk.

use std::fs;
use std::time::Duration;

use iem_disk::Operation;
use iem_sink::{Sink, SinkError, SinkErrorKind};
use tempfile::TempDir;

use super::fixture::{
    TOPIC, config, file_names, first_file, ids, numbered, open, read_ids, soon, wait_until, write,
    writer,
};
use crate::config::FileConfig;

/// Delivers a batch, makes a second one fail by a single fault, and delivers it again. Returns the
/// names of the files and the error.
fn fail_once(fault: Operation) -> (Vec<String>, SinkError) {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut writer, &records[..3]).unwrap();
    sink.directory.disk.faults.fail(fault, 1);
    let error = write(&mut writer, &records[3..]).unwrap_err();
    assert_eq!(
        read_ids(folder.path()),
        ids(&records[..3]),
        "the failed batch is removed again"
    );
    write(&mut writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records));
    (file_names(folder.path()), error)
}

#[test]
fn after_a_short_write_the_next_batch_goes_to_a_new_file() {
    let (files, error) = fail_once(Operation::Write);
    assert_eq!(files.len(), 2);
    assert_eq!(error.kind, SinkErrorKind::Transient);
    assert!(error.message.contains(&files[0]), "{error}");
}

#[test]
fn after_a_failed_sync_the_next_batch_goes_to_a_new_file() {
    assert_eq!(fail_once(Operation::Sync).0.len(), 2);
}

/// A file whose name is not on the disk may be lost with everything in it.
#[test]
fn a_failed_sync_of_the_folder_fails_the_first_batch_of_a_file() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    sink.directory.disk.faults.fail(Operation::SyncFolder, 1);
    write(&mut writer, &numbered(0..3)).unwrap_err();
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
    // Only a new name needs a sync of the folder.
    write(&mut writer, &numbered(0..3)).unwrap();
    sink.directory.disk.faults.fail(Operation::SyncFolder, 1);
    write(&mut writer, &numbered(3..6)).unwrap();
}

#[test]
fn after_a_full_disk_no_file_is_left_over_and_writes_succeed_again() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut writer, &records[..3]).unwrap();
    sink.directory
        .disk
        .faults
        .fail(Operation::Write, usize::MAX);
    for _ in 0..5 {
        let error = write(&mut writer, &records[3..]).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Transient);
        assert_eq!(file_names(folder.path()).len(), 1);
        let error = sink.check(soon()).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Transient);
    }
    sink.directory.disk.faults.heal();
    assert_eq!(sink.check(soon()), Ok(()));
    write(&mut writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn no_batch_is_written_until_a_failed_one_is_removed() {
    for (delivered, undo) in [(3, Operation::SetLen), (0, Operation::Remove)] {
        let folder = TempDir::new().unwrap();
        let sink = open(&config(&folder));
        let mut writer = writer(&sink);
        let records = numbered(0..6);
        write(&mut writer, &records[..delivered]).unwrap();
        sink.directory.disk.faults.fail(Operation::Write, 1);
        sink.directory.disk.faults.fail(undo, 2);
        write(&mut writer, &records[delivered..]).unwrap_err();
        let error = write(&mut writer, &records[delivered..]).unwrap_err();
        assert!(
            error.message.contains("remove a failed batch from"),
            "{error}"
        );
        write(&mut writer, &records[delivered..]).unwrap();
        assert_eq!(read_ids(folder.path()), ids(&records));
    }
}

#[test]
fn maintenance_restores_the_damaged_file_of_an_idle_writer() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_age: Duration::from_millis(10),
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    sink.directory.disk.faults.fail(Operation::Write, 1);
    sink.directory.disk.faults.fail(Operation::Remove, 1);
    write(&mut writer, &numbered(0..3)).unwrap_err();
    wait_until("the torn file is removed", || {
        file_names(folder.path()).is_empty()
    });
}

#[test]
fn a_file_that_is_removed_while_open_is_not_written_to_again() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..6);
    write(&mut writer, &records[..3]).unwrap();
    fs::remove_file(first_file(folder.path())).unwrap();
    write(&mut writer, &records[3..]).unwrap_err();
    write(&mut writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder.path()), ids(&records[3..]));
}

#[test]
fn an_error_names_the_missing_topic_folder() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    fs::remove_dir(folder.path().join(TOPIC)).unwrap();
    let error = write(&mut writer, &numbered(0..1)).unwrap_err();
    assert!(
        error.message.contains(TOPIC) && error.message.contains("No such file"),
        "{error}"
    );
}
