//! The data directory: its lock, its folders and its check.

use std::fs;
use std::io::ErrorKind;
use std::task::Waker;
use std::time::Instant;

use iem_sink::testing::topic;
use iem_sink::{Sink, SinkError, SinkErrorKind};
use tempfile::TempDir;

use super::fixture::{close, config, ids, inode, numbered, open, read_ids, soon, write, writer};
use crate::config::FileConfig;
use crate::data_directory::DataDirectory;
use crate::disk::{Disk, Operation};
use crate::sink::FileSink;

#[test]
fn a_second_gateway_is_rejected_with_the_name_of_the_first_process() {
    let folder = TempDir::new().unwrap();
    let first = open(&config(&folder));
    let error = FileSink::open(config(&folder)).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert!(
        error
            .message
            .contains(&format!("process {}, since 2", std::process::id())),
        "{error}"
    );
    close(first);
    close(open(&config(&folder)));
}

#[test]
fn a_writer_keeps_the_data_directory_locked() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let writer = writer(&sink);
    drop(sink);
    assert!(FileSink::open(config(&folder)).is_err());
    drop(writer);
    close(open(&config(&folder)));
}

#[test]
fn missing_folders_are_created() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        path: folder.path().join("a/b"),
        ..config(&folder)
    };
    let sink = open(&config);
    let records = numbered(0..3);
    write(&mut writer(&sink), &records).unwrap();
    assert_eq!(read_ids(&config.path), ids(&records));
}

#[test]
fn the_parent_of_the_data_directory_is_synced_at_every_start() {
    let parent = TempDir::new().unwrap();
    let mut config = FileConfig {
        path: parent.path().join("data"),
        ..config(&parent)
    };
    fs::create_dir(&config.path).unwrap();
    for sync in [false, true] {
        config.sync = sync;
        let sink = open(&config);
        let syncs = sink.directory.disk.faults.syncs_of(inode(&parent));
        assert_eq!(syncs, usize::from(sync));
        close(sink);
    }
}

#[test]
fn the_parent_of_a_relative_path_is_the_working_directory() {
    let disk = Disk::default();
    disk.sync_entry("data".as_ref()).unwrap();
    assert_eq!(disk.faults.syncs_of(inode(".")), 1);
    disk.sync_entry("/".as_ref()).unwrap();
    assert_eq!(disk.faults.syncs_of(inode("/")), 0, "it has no parent");
}

#[test]
fn a_parent_that_cannot_be_synced_fails_the_start_only_if_the_disk_is_at_fault() {
    use ErrorKind::{
        InvalidInput, Other, PermissionDenied, ReadOnlyFilesystem, StorageFull, Unsupported,
    };
    let folder = TempDir::new().unwrap();
    let open = |kind| {
        let disk = Disk::default();
        disk.faults.fail_with(Operation::SyncFolder, 1, kind);
        DataDirectory::open_on(disk, config(&folder))
    };
    for kind in [
        PermissionDenied,
        ReadOnlyFilesystem,
        InvalidInput,
        Unsupported,
    ] {
        assert!(open(kind).is_ok(), "{kind}");
    }
    for kind in [Other, StorageFull] {
        let error = SinkError::from(open(kind).err().unwrap());
        assert_eq!(error.kind, SinkErrorKind::Transient);
        assert!(
            error.message.contains("sync the parent folder of"),
            "{error}"
        );
    }
}

#[test]
fn a_topic_name_that_is_not_a_valid_folder_name_is_rejected() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    for name in ["", ".", "..", ".lock", "a/b", "/a", "a b", "ä", "a\0"] {
        let error = sink
            .writer(&topic(name), Waker::noop().clone())
            .err()
            .unwrap();
        assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    }
    let valid = topic("Iem_events-2.0");
    assert!(sink.writer(&valid, Waker::noop().clone()).is_ok());
}

#[test]
fn a_check_leaves_no_file_behind() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    assert_eq!(sink.check(soon()), Ok(()));
    assert!(sink.check(Instant::now()).is_err());
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [".lock"]);
    sink.directory.disk.faults.fail(Operation::Sync, 1);
    assert!(sink.check(soon()).is_err());
    assert_eq!(sink.check(soon()), Ok(()));
}
