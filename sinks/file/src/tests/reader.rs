//! Tests of the reader, on files that the sink has written.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use iem_sink::{Found, Reached, Reader};
use tempfile::TempDir;

use super::fixture::{
    TOPIC, close, config, file_names, first_file, numbered, open, wait_until, write, writer,
};
use crate::config::{Compression, FileConfig};
use crate::reader::FileReader;

fn reader(folder: &TempDir) -> FileReader {
    FileReader::open(folder.path(), TOPIC, SystemTime::UNIX_EPOCH).unwrap()
}

/// Reads once; returns the data that counts in the end, and whether the reader began anew.
fn read(reader: &mut FileReader) -> (Vec<String>, bool) {
    let mut data = Vec::new();
    let mut anew = false;
    let reached = reader.read(Instant::now(), &mut |found| match found {
        Found::Anew => {
            data.clear();
            anew = true;
        }
        Found::Record(record) => data.push(String::from_utf8(record.to_vec()).unwrap()),
    });
    assert_eq!(reached, Ok(Reached::End));
    (data, anew)
}

fn expected(count: usize) -> Vec<String> {
    (0..count).map(|n| format!(r#"{{"n":{n}}}"#)).collect()
}

#[test]
fn a_reader_begins_anew_when_a_file_has_changed_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    write(&mut writer, &numbered(0..2)).unwrap();
    let mut reader = reader(&folder);
    assert_eq!(read(&mut reader), (expected(2), true));
    assert_eq!(read(&mut reader), (Vec::new(), false));
    assert!(reader.check_end(Instant::now()).is_ok());
    write(&mut writer, &numbered(2..3)).unwrap();
    assert!(reader.check_end(Instant::now()).is_err());
    assert_eq!(read(&mut reader), (expected(3), true));
}

#[test]
fn archives_and_lines_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = FileConfig {
        rotate_size: 1,
        compression: Compression::Zstd,
        ..config(&folder)
    };
    let sink = open(&config);
    let mut writer = writer(&sink);
    for n in 0..3 {
        write(&mut writer, &numbered(n..n + 1)).unwrap();
    }
    wait_until("archives", || {
        let names = file_names(folder.path());
        names.iter().filter(|name| name.contains(".zst")).count() >= 2
    });
    assert_eq!(read(&mut reader(&folder)).0, expected(3));
}

#[test]
fn torn_lines_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &numbered(0..2)).unwrap();
    close(sink);
    let path = first_file(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let half = &text[..40];
    fs::write(&path, format!("{half}\n\0\0\0\n{text}{half}")).unwrap();
    assert_eq!(read(&mut reader(&folder)).0, expected(2));
}

#[test]
fn files_from_before_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &numbered(0..2)).unwrap();
    let later = SystemTime::now() + Duration::from_hours(1);
    let mut reader = FileReader::open(folder.path(), TOPIC, later).unwrap();
    assert_eq!(read(&mut reader), (Vec::new(), true));
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = FileReader::open(folder.path(), TOPIC, SystemTime::UNIX_EPOCH).err();
    assert!(error.unwrap().message.contains(TOPIC));
}
