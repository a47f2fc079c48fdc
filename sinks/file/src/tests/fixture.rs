//! The helpers of the tests: a sink on a temporary data directory, and what a reader finds there.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Outcome, Record, Sink, SinkError};
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::config::{Compression, FileConfig};
use crate::sink::FileSink;
use crate::testing::read_topic;

pub(super) const TOPIC: &str = "iem-events";

/// Returns a configuration with sync, and without rotation and compression.
pub(super) fn config(folder: &TempDir) -> FileConfig {
    FileConfig {
        path: folder.path().to_owned(),
        sync: true,
        rotate_size: u64::MAX,
        rotate_age: Duration::MAX,
        compression: Compression::None,
    }
}

pub(super) fn open(config: &FileConfig) -> FileSink {
    FileSink::open(config.clone()).unwrap()
}

pub(super) fn close(sink: FileSink) {
    Box::new(sink).close(soon()).unwrap();
}

pub(super) fn writer(sink: &FileSink) -> BlockingWriter {
    BlockingWriter::open(sink, &topic(TOPIC)).unwrap()
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Returns records that contain their numbers.
pub(super) fn numbered(numbers: Range<usize>) -> Vec<Record> {
    numbers
        .map(|n| record("1001/router", format!(r#"{{"n":{n}}}"#)))
        .collect()
}

/// Writes a batch, and checks that it is delivered as a whole or not at all.
pub(super) fn write(writer: &mut BlockingWriter, records: &[Record]) -> Result<(), SinkError> {
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

/// Returns the members of a line, with their exact text.
pub(super) fn members(line: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

pub(super) fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// Returns the ids that a reader of the topic finds, in order.
pub(super) fn read_ids(path: &Path) -> Vec<String> {
    read_topic(path, TOPIC)
        .iter()
        .map(|line| serde_json::from_str(members(line)["id"].get()).unwrap())
        .collect()
}

/// Returns the names in the topic's folder that are not hidden, in order.
pub(super) fn file_names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.join(TOPIC)).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Returns the path of the first file in the topic's folder.
pub(super) fn first_file(path: &Path) -> PathBuf {
    path.join(TOPIC).join(&file_names(path)[0])
}

/// Returns the inode of a file or folder.
pub(super) fn inode(path: impl AsRef<Path>) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Waits until the maintenance thread has made the condition true.
pub(super) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = soon();
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
