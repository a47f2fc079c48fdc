//! The data directory: its lock, its folders and its check.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::task::Waker;
use std::time::Instant;

use iem_disk::{Disk, Operation};
use iem_sink::testing::topic;
use iem_sink::{Sink, SinkErrorKind};
use tempfile::TempDir;

use super::fixture::{
    TOPIC, close, config, ids, inode, numbered, open, read_ids, soon, write, writer,
};
use crate::config::{Compression, FileConfig};
use crate::data_directory::DataDirectory;
use crate::error;
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
        let error = error::from_lock(open(kind).err().unwrap());
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

/// Calls `check` with each file and folder below `folder`, and its mode.
fn for_each_mode(folder: &Path, check: &mut impl FnMut(&Path, u32)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        check(&path, metadata.mode() & 0o777);
        if metadata.is_dir() {
            for_each_mode(&path, check);
        }
    }
}

#[test]
fn what_is_made_is_closed_to_strangers_and_the_lock_to_the_group_too() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        path: folder.path().join("a/b"),
        compression: Compression::Zstd,
        ..config(&folder)
    };
    for _ in 0..2 {
        let sink = open(&config);
        write(&mut writer(&sink), &numbered(0..3)).unwrap();
        close(sink);
    }
    let mut names = Vec::new();
    for_each_mode(folder.path(), &mut |path, mode| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let closed = if name == ".lock" { 0o077 } else { 0o027 };
        assert_eq!(mode & closed, 0, "{} has mode {mode:o}", path.display());
        names.push(name);
    });
    for made in ["a", "b", ".lock", ".closed", TOPIC] {
        assert!(names.iter().any(|name| name == made), "{made} of {names:?}");
    }
    assert!(
        names.iter().any(|name| name.contains("ndjson")),
        "{names:?}"
    );
}

#[test]
fn a_lock_file_of_an_earlier_version_is_closed_to_strangers() {
    let folder = TempDir::new().unwrap();
    let lock = folder.path().join(".lock");
    fs::write(&lock, "").unwrap();
    close(open(&config(&folder)));
    assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_link_in_place_of_a_file_of_the_sink_is_not_followed() {
    let elsewhere = TempDir::new().unwrap();
    for name in [".lock", ".probe"] {
        let folder = TempDir::new().unwrap();
        let victim = elsewhere.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, folder.path().join(name)).unwrap();
        let checked = FileSink::open(config(&folder)).map(|sink| sink.check(soon()));
        assert!(!matches!(checked, Ok(Ok(()))), "{name}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{name}");
    }
}
