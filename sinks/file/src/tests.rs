//! The sink as a whole, on real files.

#![allow(clippy::unwrap_used)]

mod conformance;
mod failure;
mod model;
mod repair;
mod rotation;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use iem_sink::testing::{record, topic};
use iem_sink::{Outcome, Record, Sink, SinkError, SinkErrorKind, Writer};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::testing::read_topic;
use crate::{Compression, FileConfig, FileSink};

const TOPIC: &str = "iem-events";

/// Synced, never rotated, never compressed.
fn config(folder: &TempDir) -> FileConfig {
    FileConfig {
        path: folder.path().to_owned(),
        sync: true,
        rotate_size: u64::MAX,
        rotate_age: Duration::MAX,
        compression: Compression::None,
    }
}

fn open(config: &FileConfig) -> FileSink {
    FileSink::open(config.clone()).unwrap()
}

fn close(sink: FileSink) {
    Box::new(sink).close(soon()).unwrap();
}

fn writer(sink: &FileSink) -> Box<dyn Writer> {
    sink.writer(&topic(TOPIC)).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Records that carry their number.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers
        .map(|n| record("1001/router", format!(r#"{{"n":{n}}}"#)))
        .collect()
}

fn write(writer: &mut dyn Writer, records: &[Record]) -> Result<(), SinkError> {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let result = writer.write(records, &mut outcomes, soon());
    let expected = if result.is_ok() {
        Outcome::Delivered
    } else {
        Outcome::Retryable
    };
    assert!(
        outcomes.iter().all(|outcome| *outcome == expected),
        "a batch is delivered as a whole or not at all"
    );
    result
}

/// A line's members, as they are written.
fn members(line: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// The ids that a reader of the topic finds, in order.
fn read_ids(path: &Path) -> Vec<String> {
    let id = |line: &String| serde_json::from_str(members(line)["id"].get()).unwrap();
    read_topic(path, TOPIC).iter().map(id).collect()
}

/// The names in the topic's folder that are not hidden, in order.
fn file_names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.join(TOPIC)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Waits until the background thread has done it.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = soon();
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_gateway_is_refused_and_told_who_holds_the_folder() {
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
fn the_folder_is_held_as_long_as_a_writer_is() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let writer = writer(&sink);
    drop(sink);
    assert!(FileSink::open(config(&folder)).is_err());
    drop(writer);
    close(open(&config(&folder)));
}

#[test]
fn missing_folders_are_made() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        path: folder.path().join("a/b"),
        ..config(&folder)
    };
    let sink = open(&config);
    let records = numbered(0..3);
    write(&mut *writer(&sink), &records).unwrap();
    assert_eq!(read_ids(&config.path), ids(&records));
}

#[test]
fn a_topic_name_that_is_no_folder_name_is_refused() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    for name in ["", ".", "..", ".lock", "a/b", "/a", "a b", "ä", "a\0"] {
        let error = sink.writer(&topic(name)).err().unwrap();
        assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    }
    assert!(sink.writer(&topic("Iem_events-2.0")).is_ok());
}

#[test]
fn a_passed_deadline_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let mut outcomes = [Outcome::default()];
    let error = writer
        .write(&numbered(0..1), &mut outcomes, Instant::now())
        .unwrap_err();
    assert_eq!(
        (error.kind, outcomes),
        (SinkErrorKind::Transient, [Outcome::Retryable])
    );
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_large_batch_leaves_no_large_buffer_behind() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = crate::writer::FileWriter::new(sink.topic(TOPIC).unwrap(), 1000);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    write(&mut writer, &[record("1001/router", large)]).unwrap();
    assert!(writer.buffer_bytes() <= 2000);
}
