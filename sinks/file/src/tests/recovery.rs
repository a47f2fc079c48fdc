//! The recovery of files that a crash damaged.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use iem_sink::Record;
use tempfile::TempDir;

use super::fixture::{
    TOPIC, close, config, file_names, first_file, ids, numbered, open, read_ids, write, writer,
};
use crate::config::FileConfig;
use crate::line::Lines;
use crate::rolling_file::RollingFile;
use crate::sink::FileSink;

/// Returns a data directory with one closed file of three records, the file's path, and their ids.
fn earlier_run() -> (TempDir, PathBuf, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &records).unwrap();
    close(sink);
    let path = first_file(folder.path());
    (folder, path, ids(&records))
}

/// Opens the topic, which recovers it, and closes it again.
fn recover(folder: &TempDir) {
    let sink = open(&config(folder));
    drop(writer(&sink));
    close(sink);
}

#[test]
fn a_torn_tail_is_cut_off() {
    let long = format!("{{{}", "x".repeat(200_000));
    let with_nul = format!("{{{}}}\n", "\0".repeat(70_000));
    let tails: [&[u8]; 9] = [
        b"{",
        b"{\"id\":\"1\"}",
        b"\n",
        b"\n\n}\n",
        b"\"id\":1}\n",
        b"{\"id\":1\n",
        b"\0\0\0\0\n\0\0",
        long.as_bytes(),
        with_nul.as_bytes(),
    ];
    for tail in tails {
        let (folder, path, ids) = earlier_run();
        let whole = fs::read(&path).unwrap();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(tail)
            .unwrap();
        recover(&folder);
        assert!(
            fs::read(&path).unwrap() == whole,
            "{:?} is cut off",
            &tail[..tail.len().min(20)]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

/// Does the same as [`earlier_run`], for a run that ends without closing anything.
fn crashed_run() -> (TempDir, PathBuf, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    let path = append_and_crash(&sink, &records);
    close(sink);
    (folder, path, ids(&records))
}

/// Returns the path of a file that was open when its writer crashed.
fn append_and_crash(sink: &FileSink, records: &[Record]) -> PathBuf {
    let mut rolling_file = RollingFile::new(sink.topic(TOPIC).unwrap());
    rolling_file
        .append(
            Lines::from_records(records).bytes(),
            records[0].context.time,
            Instant::now(),
        )
        .unwrap();
    let path = rolling_file.open_path().unwrap().to_owned();
    rolling_file.crash();
    path
}

/// Inserts `torn` before each line of a file.
fn tear_each_line(path: &Path, torn: &str) {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .split_inclusive('\n')
        .map(|line| format!("{torn}{line}"));
    fs::write(path, lines.collect::<String>()).unwrap();
}

#[test]
fn torn_lines_before_well_formed_ones_are_taken_out() {
    let nul = "\0".repeat(300_000);
    for torn in [
        format!("{nul}\n"),
        format!("{nul}\"a\":1}}\n"),
        "{\"id\":\n".to_owned(),
        "\n".to_owned(),
    ] {
        let (folder, path, expected) = crashed_run();
        let whole = fs::read(&path).unwrap();
        tear_each_line(&path, &torn);
        recover(&folder);
        assert!(
            fs::read(&path).unwrap() == whole,
            "torn by {:?}",
            &torn[torn.len() - 1..]
        );
        assert_eq!(read_ids(folder.path()), expected);
        assert_eq!(file_names(folder.path()).len(), 1);
    }
}

#[test]
fn a_file_that_stayed_open_while_newer_ones_were_closed_is_recovered() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let records = numbered(0..6);
    let path = append_and_crash(&sink, &records[..3]);
    write(&mut writer(&sink), &records[3..]).unwrap();
    close(sink);
    tear_each_line(&path, "\0\n");
    recover(&folder);
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_start_with_sync_recovers_files_written_without_sync() {
    let folder = TempDir::new().unwrap();
    let without = FileConfig {
        sync: false,
        ..config(&folder)
    };
    let sink = open(&without);
    let records = numbered(0..3);
    write(&mut writer(&sink), &records).unwrap();
    close(sink);
    let path = first_file(folder.path());
    tear_each_line(&path, "\0\n");
    let torn = fs::read(&path).unwrap();
    let sink = open(&without);
    drop(writer(&sink));
    close(sink);
    assert_eq!(
        fs::read(&path).unwrap(),
        torn,
        "without sync, only the ends of files are read"
    );
    recover(&folder);
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_file_covered_by_the_checkpoint_is_not_read_again() {
    let (folder, path, _) = earlier_run();
    tear_each_line(&path, "not a record\n");
    let bytes = fs::read(&path).unwrap();
    recover(&folder);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::write(path.with_file_name(".closed"), "nonsense").unwrap();
    recover(&folder);
    assert_eq!(
        read_ids(folder.path()).len(),
        3,
        "without the checkpoint it is"
    );
}

#[test]
fn a_file_without_a_whole_line_is_removed() {
    for content in ["", "{", "\0\0\0", "\n"] {
        let (folder, path, _) = earlier_run();
        fs::write(&path, content).unwrap();
        recover(&folder);
        assert_eq!(file_names(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn an_unfinished_archive_is_removed() {
    let (folder, path, ids) = earlier_run();
    fs::write(path.with_extension("ndjson.zst.tmp"), "half").unwrap();
    recover(&folder);
    assert_eq!(file_names(folder.path()).len(), 1);
    assert_eq!(read_ids(folder.path()), ids);
}

/// Writes an archive of `bytes` beside a file of lines. Returns its path.
fn archive(path: &Path, bytes: &[u8]) -> PathBuf {
    let archive = path.with_extension("ndjson.zst");
    let mut encoder = zstd::Encoder::new(fs::File::create(&archive).unwrap(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    archive
}

#[test]
fn an_archive_stays_if_a_crash_brought_back_a_part_of_its_source() {
    let (folder, path, ids) = earlier_run();
    let bytes = fs::read(&path).unwrap();
    let archive = archive(&path, &bytes);
    assert_eq!(
        read_ids(folder.path()),
        ids,
        "a reader reads only one of them"
    );
    let half = bytes.len() / 2;
    for source in [
        &bytes[..],
        &bytes[..half],
        &[&bytes[..half], &vec![0; half]].concat(),
    ] {
        fs::write(&path, source).unwrap();
        recover(&folder);
        assert_eq!(
            file_names(folder.path()),
            [archive.file_name().unwrap().to_str().unwrap()]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

#[test]
fn the_uncompressed_file_stays_if_its_archive_is_incomplete() {
    let (folder, path, ids) = earlier_run();
    let bytes = fs::read(&path).unwrap();
    let whole = fs::read(archive(&path, &bytes)).unwrap();
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let first_line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let less = fs::read(archive(&path, first_line)).unwrap();
    for broken in [&whole[..whole.len() - 1], &wrong, &less, b"", b"foreign"] {
        fs::write(path.with_extension("ndjson.zst"), broken).unwrap();
        recover(&folder);
        assert_eq!(
            file_names(folder.path()),
            [path.file_name().unwrap().to_str().unwrap()]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

#[test]
fn an_archive_stays_if_its_source_contains_no_line() {
    let (folder, path, ids) = earlier_run();
    archive(&path, &fs::read(&path).unwrap());
    fs::write(&path, "\0").unwrap();
    recover(&folder);
    assert_eq!(read_ids(folder.path()), ids);
}

#[test]
fn files_of_other_programs_stay_unchanged() {
    let (folder, path, ids) = earlier_run();
    let foreign = [
        "notes.txt",
        "copy.ndjson",
        "20261122T182840.123Z-1.ndjson",
        "x.ndjson.zst.tmp",
    ];
    for name in foreign {
        fs::write(path.with_file_name(name), "torn").unwrap();
    }
    fs::create_dir(path.with_file_name("20261122T182840.123Z-0000000009.ndjson")).unwrap();
    recover(&folder);
    for name in foreign {
        assert_eq!(
            fs::read_to_string(path.with_file_name(name)).unwrap(),
            "torn"
        );
    }
    fs::remove_dir(path.with_file_name("20261122T182840.123Z-0000000009.ndjson")).unwrap();
    assert_eq!(read_ids(folder.path()), ids);
}

#[test]
fn names_continue_after_those_of_earlier_runs() {
    let (folder, path, mut expected) = earlier_run();
    let future = path.with_file_name("29991231T235959.999Z-0000000777.ndjson");
    fs::rename(&path, &future).unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &records).unwrap();
    assert_eq!(
        file_names(folder.path())[1],
        "29991231T235959.999Z-0000000778.ndjson"
    );
    expected.extend(ids(&records));
    assert_eq!(read_ids(folder.path()), expected);
}
