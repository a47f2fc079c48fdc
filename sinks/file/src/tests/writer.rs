//! The limits of a single write: its deadline and its memory.

use std::time::Instant;

use iem_sink::testing::record;
use iem_sink::{Outcome, SinkErrorKind};
use tempfile::TempDir;

use super::fixture::{TOPIC, config, file_names, numbered, open, write, writer};
use crate::writer::FileWriter;

#[test]
fn after_its_deadline_a_batch_is_not_written() {
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
fn a_large_batch_leaves_no_large_buffer() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = FileWriter::new(sink.topic(TOPIC).unwrap(), 1000);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    write(&mut writer, &[record("1001/router", large)]).unwrap();
    assert!(writer.buffer_bytes() <= 2000);
}
