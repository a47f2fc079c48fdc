//! Rotation by size and age, and the compression of closed files.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_disk::Operation;
use iem_sink::testing::record;
use tempfile::TempDir;

use super::fixture::{
    TOPIC, close, config, file_names, first_file, ids, numbered, open, read_ids, wait_until, write,
    writer,
};
use crate::compressor::{Compressor, RETRY_AFTER};
use crate::config::{Compression, FileConfig};
use crate::data_directory::DataDirectory;

#[test]
fn a_file_is_closed_at_its_maximum_size() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_size: 1000,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    let records = numbered(0..20);
    for one in records.chunks(1) {
        write(&mut writer, one).unwrap();
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
fn maintenance_closes_and_compresses_an_idle_file() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        rotate_age: Duration::from_millis(10),
        compression: Compression::Zstd,
        ..config(&folder)
    };
    let sink = open(&config);
    let mut writer = writer(&sink);
    let records = numbered(0..20);
    write(&mut writer, &records).unwrap();
    wait_until(
        "the file is compressed",
        || matches!(&file_names(folder.path())[..], [name] if name.ends_with(".ndjson.zst")),
    );
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_start_compresses_the_closed_files_of_an_earlier_run() {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..20);
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &records[..10]).unwrap();
    close(sink);
    let sink = open(&FileConfig {
        compression: Compression::Zstd,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    write(&mut writer, &records[10..]).unwrap();
    wait_until("the first file is compressed", || {
        let names = file_names(folder.path());
        names.len() == 2 && names[0].ends_with(".ndjson.zst")
    });
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_reader_finds_every_record_during_writes_and_compression() {
    let folder = TempDir::new().unwrap();
    let sink = open(&FileConfig {
        rotate_size: 1,
        compression: Compression::Zstd,
        ..config(&folder)
    });
    let mut writer = writer(&sink);
    let records = numbered(0..200);
    for (n, batch) in records.chunks(5).enumerate() {
        write(&mut writer, batch).unwrap();
        assert_eq!(read_ids(folder.path()), ids(&records[..5 * n + 5]));
    }
}

/// Returns a data directory with one closed file that takes several steps to compress, its
/// compressor, and the ids of its records.
fn closed_file(folder: &TempDir) -> (Arc<DataDirectory>, Compressor, Vec<String>) {
    let sink = open(&config(folder));
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(700_000));
    let records = [record("1001/router", text), record("1001/router", "{}")];
    write(&mut writer(&sink), &records).unwrap();
    close(sink);
    let directory = Arc::new(DataDirectory::open(config(folder)).unwrap());
    let mut compressor = Compressor::new(directory.clone());
    compressor.push(first_file(folder.path()));
    (directory, compressor, ids(&records))
}

#[test]
fn a_failed_compression_keeps_the_file_and_is_tried_again_later() {
    use Operation::{Create, Remove, Rename, Sync, SyncFolder};
    for fault in [Create, Sync, Rename, SyncFolder, Remove] {
        let folder = TempDir::new().unwrap();
        let (directory, mut compressor, expected) = closed_file(&folder);
        let now = Instant::now();
        directory.disk.faults.fail(fault, 1);
        for _ in 0..100 {
            compressor.step(now);
            assert_eq!(read_ids(folder.path()), expected, "after {fault:?}");
        }
        assert!(compressor.is_idle(now));
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
        assert!(!compressor.is_idle(later));
        for _ in 0..100 {
            compressor.step(later);
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
fn an_abandoned_compression_keeps_the_file() {
    let folder = TempDir::new().unwrap();
    let (_directory, mut compressor, expected) = closed_file(&folder);
    compressor.step(Instant::now());
    compressor.step(Instant::now());
    assert_eq!(file_names(folder.path()).len(), 2);
    compressor.abandon();
    assert_eq!(file_names(folder.path()).len(), 1);
    assert_eq!(read_ids(folder.path()), expected);
}

#[test]
fn a_file_that_was_removed_before_its_compression_is_skipped() {
    let folder = TempDir::new().unwrap();
    let (_directory, mut compressor, _) = closed_file(&folder);
    fs::remove_file(first_file(folder.path())).unwrap();
    let now = Instant::now();
    compressor.step(now);
    assert!(compressor.is_idle(now + RETRY_AFTER));
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_file_that_is_removed_during_its_compression_leaves_no_archive() {
    let folder = TempDir::new().unwrap();
    let (_directory, mut compressor, _) = closed_file(&folder);
    let now = Instant::now();
    compressor.step(now);
    compressor.step(now);
    assert_eq!(
        file_names(folder.path()).len(),
        2,
        "half of it is compressed"
    );
    fs::remove_file(first_file(folder.path())).unwrap();
    for _ in 0..100 {
        compressor.step(now);
    }
    assert!(compressor.is_idle(now + RETRY_AFTER));
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}
