//! The operations of a disk that nothing disturbs.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};

use tempfile::TempDir;

use crate::Disk;

#[test]
fn a_file_is_created_once_and_read_back_where_it_is_opened() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let disk = Disk::default();
    assert_eq!(disk.open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    let mut file = disk.create(&path).unwrap();
    assert_eq!(file.metadata().unwrap().mode() & 0o137, 0);
    let error = disk.create(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    disk.write_all(&mut file, b"abcdef").unwrap();
    disk.write_at(&file, b"XY", 1).unwrap();
    disk.write_all(&mut file, b"g").unwrap();
    disk.sync_data(&file).unwrap();

    let file = disk.open(&path).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(disk.read_at(&file, &mut buffer, 0).unwrap(), 4);
    assert_eq!(&buffer, b"aXYd");
    assert_eq!(disk.read_at(&file, &mut buffer, 4).unwrap(), 3);
    assert_eq!(&buffer[..3], b"efg");
    assert_eq!(disk.read_at(&file, &mut buffer, 7).unwrap(), 0);
    disk.set_len(&file, 2).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"aX");

    let totals = disk.totals();
    assert_eq!((totals.written_bytes, totals.syncs), (9, 1));
}

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let folder = TempDir::new().unwrap();
    let victim = folder.path().join("victim");
    let link = folder.path().join("link");
    symlink(&victim, &link).unwrap();
    let disk = Disk::default();
    assert!(disk.create(&link).is_err());
    fs::write(&victim, "precious").unwrap();
    assert!(disk.open(&link).is_err());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn names_are_listed_in_order_and_a_missing_file_is_removed_without_error() {
    let folder = TempDir::new().unwrap();
    let disk = Disk::default();
    disk.create_folders(&folder.path().join("c/inner"), true)
        .unwrap();
    for name in ["b", "a"] {
        disk.create(&folder.path().join(name)).unwrap();
    }
    let list = || disk.list(folder.path()).unwrap();
    assert_eq!(list(), ["a", "b", "c"].map(OsStr::new));
    disk.rename(&folder.path().join("a"), &folder.path().join("b"))
        .unwrap();
    disk.remove(&folder.path().join("a")).unwrap();
    assert_eq!(list(), ["b", "c"].map(OsStr::new));
    let error = disk.create_folders(&folder.path().join("b/d"), false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotADirectory);
}

#[test]
fn the_parent_of_a_relative_path_is_the_working_directory() {
    let inode = |path| fs::metadata(path).unwrap().ino();
    let disk = Disk::default();
    disk.sync_entry("data".as_ref()).unwrap();
    assert_eq!(disk.faults.syncs_of(inode(".")), 1);
    disk.sync_entry("/".as_ref()).unwrap();
    assert_eq!(disk.faults.syncs_of(inode("/")), 0, "it has no parent");
}
