//! Tests of files of records that are read to send them again.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::fixture::{TOPIC, close, config, ids, numbered, open, write, writer};
use crate::config::FileConfig;
use crate::line::Lines;
use crate::record_files::{END_BYTES, RecordFile};

/// Reads a file to its end. Returns the ids of its records, and the numbers of other lines.
fn read(file: &RecordFile) -> (Vec<String>, Vec<u64>) {
    let mut reader = file.open().unwrap();
    let (mut found, mut others) = (Vec::new(), Vec::new());
    while let Some((number, record)) = reader.next_record().unwrap() {
        match record {
            Ok(record) => found.extend(record.map(|record| record.id.to_string())),
            Err(_) => others.push(number),
        }
    }
    assert_eq!(reader.bytes_read(), file.bytes());
    (found, others)
}

fn paths(files: &[RecordFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path().to_owned()).collect()
}

fn compress(from: &Path, to: &Path) {
    let bytes = zstd::encode_all(&*fs::read(from).unwrap(), 3).unwrap();
    fs::write(to, bytes).unwrap();
}

#[test]
fn a_file_that_is_being_written_is_told_and_read_up_to_its_end() {
    let folder = TempDir::new().unwrap();
    let config = FileConfig {
        rotate_size: 500,
        ..config(&folder)
    };
    let sink = open(&config);
    let mut writer = writer(&sink);
    let records = numbered(0..5);
    write(&mut writer, &records[..3]).unwrap();
    write(&mut writer, &records[3..4]).unwrap();
    let files = RecordFile::find(&folder.path().join(TOPIC)).unwrap();
    let growing: Vec<_> = files.iter().map(RecordFile::is_being_written).collect();
    assert_eq!(growing, [false, true]);
    let named = RecordFile::find(files[1].path()).unwrap();
    assert!(named.len() == 1 && named[0].is_being_written());
    write(&mut writer, &records[4..]).unwrap();
    assert_eq!(read(&files[0]).0, ids(&records[..3]));
    assert_eq!(read(&files[1]).0, ids(&records[3..4]));
    drop(writer);
    close(sink);
    let files = RecordFile::find(folder.path()).unwrap();
    assert!(!files.iter().any(RecordFile::is_being_written));
    assert_eq!(read(&files[1]).0, ids(&records[3..]));
}

#[test]
fn a_torn_end_is_passed_over_only_while_it_is_being_written() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    let records = numbered(0..1);
    write(&mut writer, &records).unwrap();
    let find = || RecordFile::find(folder.path()).unwrap().remove(0);
    let path = find().path().to_owned();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&*whole, b"{\"half"].concat()).unwrap();
    assert_eq!(read(&find()), (ids(&records), vec![]));
    drop(writer);
    close(sink);
    assert_eq!(read(&find()), (ids(&records), vec![2]));
}

#[test]
fn files_are_found_in_order_whatever_their_form() {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..4);
    let line = |n: usize| Lines::from_records([&records[n]]).bytes().to_vec();
    let gzip = |bytes: Vec<u8>| {
        let mut packed = Vec::new();
        let encoder = flate2::bufread::GzEncoder::new(&*bytes, flate2::Compression::fast());
        std::io::copy(&mut { encoder }, &mut packed).unwrap();
        packed
    };
    for (name, content) in [
        ("b/2.ndjson.gz", gzip(line(2))),
        (
            "b/1.ndjson",
            [b"\r\n".to_vec(), line(1), b"other\n".to_vec()].concat(),
        ),
        ("b/1.ndjson.zst", b"half of an archive".to_vec()),
        ("b/3.json", b"not one of them".to_vec()),
        ("a/9.ndjson.zst", zstd::encode_all(&*line(0), 3).unwrap()),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let files = RecordFile::find(folder.path()).unwrap();
    let names = ["a/9.ndjson.zst", "b/1.ndjson", "b/2.ndjson.gz"];
    let expected: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    assert_eq!(paths(&files), expected);
    let (found, others): (Vec<_>, Vec<_>) = files.iter().map(read).unzip();
    assert_eq!(found.concat(), ids(&records[..3]));
    assert_eq!(others.concat(), [3]);
    assert!(RecordFile::find(&folder.path().join("c")).is_err());
    fs::create_dir(folder.path().join("c")).unwrap();
    assert!(
        RecordFile::find(&folder.path().join("c"))
            .unwrap()
            .is_empty()
    );
}

/// After a crash a file may be back that had been replaced by its archive, with less than it had.
#[test]
fn of_a_file_and_its_archive_the_fuller_one_is_read_and_both_are_removed() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let records = numbered(0..3);
    write(&mut writer(&sink), &records).unwrap();
    close(sink);
    let lines = RecordFile::find(folder.path()).unwrap().remove(0);
    let archive = lines.path().with_extension("ndjson.zst");
    let whole = fs::read(lines.path()).unwrap();
    let first = &whole[..=whole.iter().position(|byte| *byte == b'\n').unwrap()];
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for (kept, archived, fuller) in [
        (first, packed(&whole), &*archive),
        (b"", packed(&whole), &*archive),
        (&whole, packed(&whole), &*archive),
        (&whole, packed(first), lines.path()),
        (&whole, b"half of an archive".to_vec(), lines.path()),
    ] {
        fs::write(lines.path(), kept).unwrap();
        fs::write(&archive, archived).unwrap();
        for path in [folder.path(), lines.path(), &archive] {
            let found = RecordFile::find(path).unwrap();
            assert_eq!(paths(&found), [fuller.to_owned()]);
        }
        let found = RecordFile::find(folder.path()).unwrap();
        assert_eq!(read(&found[0]), (ids(&records), vec![]));
        found[0].remove().unwrap();
        assert!(!archive.exists() && !lines.path().exists());
    }
}

#[test]
fn a_file_that_has_grown_is_not_removed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("1.ndjson");
    let lines = Lines::from_records(&numbered(0..1)).bytes().to_vec();
    fs::write(&path, &lines).unwrap();
    let file = RecordFile::find(&path).unwrap().remove(0);
    fs::write(&path, lines.repeat(2)).unwrap();
    let error = file.remove().unwrap_err();
    assert!(error.message.contains("has changed"), "{error}");
    assert!(path.exists());
    RecordFile::find(&path).unwrap()[0].remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn a_file_that_became_an_archive_is_read_and_removed_all_the_same() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let records = numbered(0..3);
    write(&mut writer(&sink), &records).unwrap();
    close(sink);
    let file = RecordFile::find(folder.path()).unwrap().remove(0);
    let archive = file.path().with_extension("ndjson.zst");
    compress(file.path(), &archive);
    fs::remove_file(file.path()).unwrap();
    let mut reader = file.open().unwrap();
    assert!(reader.next_record().unwrap().unwrap().1.unwrap().is_some());
    file.remove().unwrap();
    assert!(!archive.exists());
    assert!(file.open().is_err());
}

#[test]
fn the_latest_records_are_those_at_the_end_of_a_file_that_may_be_growing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.ndjson");
    let records = numbered(0..5);
    let mut bytes = Lines::from_records(&records).bytes().to_vec();
    fs::write(&path, &bytes).unwrap();
    let latest = |count| {
        let files = RecordFile::find(&path).unwrap();
        let latest = files[0].latest(count).unwrap();
        ids(&latest)
    };
    let mut expected = ids(&records);
    expected.reverse();
    assert_eq!(latest(9), expected);
    assert_eq!(latest(2), expected[..2]);
    // A line that is not whole yet, and what is no record.
    bytes.extend_from_slice(b"no record\n{\"specversion\":\"1.0\",");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(latest(2), expected[..2]);
    // No more than the end is read, and the first line there may be cut off.
    let filler = format!("{}\n", "x".repeat(1_000));
    let before = filler.repeat(usize::try_from(END_BYTES).unwrap() / filler.len() + 1);
    let lines = Lines::from_records(&records[3..]).bytes().to_vec();
    fs::write(
        &path,
        [bytes.as_slice(), b"\n", before.as_bytes(), &lines].concat(),
    )
    .unwrap();
    assert_eq!(latest(9), expected[..2]);
}
