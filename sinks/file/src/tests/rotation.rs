//! Rotation by size and age, and the compression of closed files.

use std::sync::Arc;

use super::*;
use crate::archive::{Archive, RETRY_AFTER};
use crate::disk::Operation;
use crate::root::Root;

#[test]
fn a_file_is_closed_when_it_has_reached_its_size() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_size: 1000,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    let records = numbered(0..20);
    for one in records.chunks(1) {
        write(&mut *writer, one).unwrap();
    }
    assert_eq!(read_ids(folder.path()), ids(&records));
    let names = file_names(folder.path());
    assert!(names.len() > 1);
    for name in names {
        let bytes = fs::metadata(folder.path().join(TOPIC).join(name))
            .unwrap()
            .len();
        assert!(bytes < 1000 + 500, "a file of {bytes} bytes was not closed");
    }
}

#[test]
fn an_idle_file_is_closed_and_compressed_in_the_background() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        rotate_age: Duration::from_millis(10),
        compression: Compression::Zstd,
        ..config(&folder)
    };
    let sink = open(&config);
    let mut writer = writer(&sink);
    let records = numbered(0..20);
    write(&mut *writer, &records).unwrap();
    wait_until(
        "the file is compressed",
        || matches!(&file_names(folder.path())[..], [name] if name.ends_with(".ndjson.zst")),
    );
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn closed_files_of_an_earlier_run_are_compressed_after_the_start() {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..20);
    let sink = open(&config(&folder));
    write(&mut *writer(&sink), &records[..10]).unwrap();
    close(sink);
    let sink = open(&FileConfig {
        compression: Compression::Zstd,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    write(&mut *writer, &records[10..]).unwrap();
    wait_until("the first file is compressed", || {
        let names = file_names(folder.path());
        names.len() == 2 && names[0].ends_with(".ndjson.zst")
    });
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_reader_finds_every_record_while_files_are_written_and_compressed() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_size: 1,
        compression: Compression::Zstd,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    let records = numbered(0..200);
    for (n, batch) in records.chunks(5).enumerate() {
        write(&mut *writer, batch).unwrap();
        assert_eq!(read_ids(folder.path()), ids(&records[..5 * n + 5]));
    }
}

/// A root with one closed file that takes several steps to compress.
fn closed_file(folder: &TempDir) -> (Arc<Root>, Archive, Vec<String>) {
    let sink = open(&config(folder));
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(700_000));
    let records = [record("1001/router", text), record("1001/router", "{}")];
    write(&mut *writer(&sink), &records).unwrap();
    close(sink);
    let root = Arc::new(Root::open(config(folder)).unwrap());
    let mut archive = Archive::new(root.clone());
    archive.push(
        folder
            .path()
            .join(TOPIC)
            .join(&file_names(folder.path())[0]),
    );
    (root, archive, ids(&records))
}

#[test]
fn a_failed_compression_leaves_the_file_and_is_tried_again_later() {
    use Operation::{Create, Remove, Rename, Sync, SyncFolder};
    for fault in [Create, Sync, Rename, SyncFolder, Remove] {
        let folder = TempDir::new().unwrap();
        let (root, mut archive, expected) = closed_file(&folder);
        let now = Instant::now();
        root.disk.faults.fail(fault, 1);
        for _ in 0..100 {
            archive.step(now);
            assert_eq!(read_ids(folder.path()), expected, "after {fault:?}");
        }
        assert!(archive.is_idle(now));
        let names = file_names(folder.path());
        assert!(
            names.iter().any(|name| name.ends_with(".ndjson")),
            "{names:?} after {fault:?}"
        );
        assert!(
            !names.iter().any(|name| name.ends_with(".zst.tmp")),
            "{names:?} after {fault:?}"
        );

        let later = now + RETRY_AFTER;
        assert!(!archive.is_idle(later));
        for _ in 0..100 {
            archive.step(later);
        }
        let names = file_names(folder.path());
        assert!(
            names.len() == 1 && names[0].ends_with(".ndjson.zst"),
            "{names:?} after {fault:?}"
        );
        assert_eq!(read_ids(folder.path()), expected);
    }
}

#[test]
fn an_abandoned_compression_leaves_the_file_alone() {
    let folder = TempDir::new().unwrap();
    let (_root, mut archive, expected) = closed_file(&folder);
    archive.step(Instant::now());
    archive.step(Instant::now());
    assert_eq!(file_names(folder.path()).len(), 2);
    archive.abandon();
    assert_eq!(file_names(folder.path()).len(), 1);
    assert_eq!(read_ids(folder.path()), expected);
}

#[test]
fn a_file_that_was_taken_away_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let (_root, mut archive, _) = closed_file(&folder);
    fs::remove_file(
        folder
            .path()
            .join(TOPIC)
            .join(&file_names(folder.path())[0]),
    )
    .unwrap();
    let now = Instant::now();
    archive.step(now);
    assert!(archive.is_idle(now + RETRY_AFTER));
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_file_that_is_taken_away_during_its_compression_does_not_come_back() {
    let folder = TempDir::new().unwrap();
    let (_root, mut archive, _) = closed_file(&folder);
    let now = Instant::now();
    archive.step(now);
    archive.step(now);
    assert_eq!(
        file_names(folder.path()).len(),
        2,
        "half of it is compressed"
    );
    fs::remove_file(
        folder
            .path()
            .join(TOPIC)
            .join(&file_names(folder.path())[0]),
    )
    .unwrap();
    for _ in 0..100 {
        archive.step(now);
    }
    assert!(archive.is_idle(now + RETRY_AFTER));
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}
