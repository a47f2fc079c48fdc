//! Operations that fail on demand.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use tempfile::TempDir;

use super::fixture::{Traced, tree};
use crate::testing::Change;
use crate::{Disk, Operation};

/// Runs each operation at least once.
fn run(disk: &Disk, folder: &Path) -> io::Result<()> {
    let inner = folder.join("inner");
    disk.create_folders(&inner, false)?;
    let mut file = disk.create(&inner.join("a"))?;
    disk.write_all(&mut file, b"12345678")?;
    disk.sync_data(&file)?;
    disk.set_len(&file, 4)?;
    disk.rename(&inner.join("a"), &inner.join("b"))?;
    disk.sync_folder(&inner)?;
    let file = disk.open(&inner.join("b"))?;
    disk.write_at(&file, b"x", 0)?;
    disk.read_at(&file, &mut [0; 2], 0)?;
    disk.list(&inner)?;
    disk.remove(&inner.join("b"))
}

/// The number of operations of [`run`].
const OPERATIONS: usize = 12;

#[test]
fn every_attempt_of_a_run_can_be_made_to_fail() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::default();
    run(&disk, folder.path()).unwrap();
    assert_eq!(disk.faults.attempts(), OPERATIONS);
    for number in 1..=OPERATIONS {
        let folder = TempDir::new().unwrap();
        disk.faults.reset();
        disk.faults.fail_at(number, ErrorKind::Other);
        let error = run(&disk, folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(disk.faults.attempts(), number);
        disk.faults.reset();
        let _ = fs::remove_dir_all(folder.path().join("inner"));
        run(&disk, folder.path()).unwrap();
    }
    disk.faults.fail_at(OPERATIONS + 1, ErrorKind::Other);
    disk.faults.heal();
    assert!(disk.list(folder.path()).is_ok());
}

#[test]
fn the_next_attempts_of_one_operation_fail_and_then_no_more() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::default();
    disk.faults.fail(Operation::Open, 1);
    disk.faults
        .fail_with(Operation::Create, 2, ErrorKind::PermissionDenied);
    let create = || disk.create(&folder.path().join("file"));
    for _ in 0..2 {
        assert_eq!(create().unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
    create().unwrap();
    let error = disk.open(&folder.path().join("file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn a_write_that_fails_writes_its_first_half() {
    let traced = Traced::new();
    let mut file = traced.write("file", b"abcd");
    traced.disk.faults.fail(Operation::Write, 2);
    traced.disk.write_all(&mut file, b"efgh").unwrap_err();
    traced.disk.write_at(&file, b"1234", 0).unwrap_err();
    assert_eq!(traced.tree()[Path::new("file")], Some(b"12cdef".to_vec()));
    assert_eq!(traced.disk.totals().written_bytes, 4);
    let recording = traced.disk.trace.end();
    let writes = recording.changes.iter().filter_map(|change| match change {
        Change::Write { offset, bytes, .. } => Some((*offset, &bytes[..])),
        _ => None,
    });
    let expected = [(0, &b"abcd"[..]), (4, b"ef"), (0, b"12")];
    assert!(writes.eq(expected));
}

#[test]
fn a_folder_whose_sync_fails_is_removed_again() {
    let traced = Traced::new();
    traced.disk.faults.fail(Operation::SyncFolder, 1);
    let path = traced.path("new");
    traced.disk.create_folders(&path, true).unwrap_err();
    assert!(!path.exists());
    traced.disk.create_folders(&path, true).unwrap();
    let folder = TempDir::new().unwrap();
    let recording = traced.disk.trace.end();
    let changes = recording.changes.len();
    recording.cut_power(changes, |_| 0, folder.path()).unwrap();
    assert_eq!(tree(folder.path()), traced.tree());
}
