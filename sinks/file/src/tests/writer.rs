//! A single call of a writer: its outcomes, its deadline and its memory.

use std::fs;
use std::time::Instant;

use iem_sink::testing::record;
use iem_sink::{DeliveryToken, Outcome, Record, Sending, Settled, SinkErrorKind, Writer as _};
use tempfile::TempDir;

use super::fixture::{TOPIC, config, file_names, ids, numbered, open, read_ids, soon};
use crate::sink::FileSink;
use crate::writer::FileWriter;

fn file_writer(sink: &FileSink) -> FileWriter {
    FileWriter::new(sink.topic(TOPIC).unwrap(), 1000)
}

/// Sends records under the tokens 0, 1, 2 and so on.
fn send(writer: &mut FileWriter, records: &[Record], deadline: Instant) -> Settled {
    let sending: Vec<_> = (0..)
        .zip(records)
        .map(|(n, record)| Sending {
            token: DeliveryToken(n),
            record,
        })
        .collect();
    let mut settled = Settled::default();
    writer.send(&sending, deadline, &mut settled);
    settled
}

/// Checks that the tokens 0, 1 and 2 are told this outcome, each once.
fn expect_three(settled: &Settled, outcome: Outcome) {
    let expected = [0, 1, 2].map(|n| (DeliveryToken(n), outcome));
    assert_eq!(settled.outcomes(), expected);
}

#[test]
fn a_batch_is_written_and_told_before_the_call_returns() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = file_writer(&sink);
    let records = numbered(0..3);
    let mut settled = send(&mut writer, &records, soon());
    assert_eq!(read_ids(folder.path()), ids(&records));
    expect_three(&settled, Outcome::Delivered);
    assert_eq!(settled.take_error(), None);
    settled.clear();
    writer.settle(&mut settled);
    assert!(settled.is_empty());
}

#[test]
fn after_its_deadline_a_batch_is_not_written() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut settled = send(&mut file_writer(&sink), &numbered(0..3), Instant::now());
    expect_three(&settled, Outcome::Retryable);
    let error = settled.take_error().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Transient);
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_batch_that_needs_an_operator_is_undeliverable() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = file_writer(&sink);
    fs::remove_dir(folder.path().join(TOPIC)).unwrap();
    fs::write(folder.path().join(TOPIC), "a file instead of a folder").unwrap();
    let mut settled = send(&mut writer, &numbered(0..3), soon());
    expect_three(&settled, Outcome::Undeliverable);
    let error = settled.take_error().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
}

#[test]
fn an_empty_batch_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    assert!(send(&mut file_writer(&sink), &[], soon()).is_empty());
    assert_eq!(file_names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_large_batch_leaves_no_large_buffer() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = file_writer(&sink);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(100_000));
    send(&mut writer, &[record("1001/router", large)], soon());
    assert_eq!(read_ids(folder.path()).len(), 1);
    assert!(writer.buffer_bytes() <= 2000);
}
