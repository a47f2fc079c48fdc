//! What a crash leaves behind, and what the next start makes of it.

use std::io::Write as _;

use super::*;
use crate::chain::Chain;
use crate::line::Lines;

/// A folder with one closed file of three records; its path and its ids.
fn earlier_run() -> (TempDir, std::path::PathBuf, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    write(&mut *writer(&sink), &records).unwrap();
    close(sink);
    let path = folder
        .path()
        .join(TOPIC)
        .join(&file_names(folder.path())[0]);
    (folder, path, ids(&records))
}

/// Opens the topic and closes it again.
fn repair(folder: &TempDir) {
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
        let good = fs::read(&path).unwrap();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(tail)
            .unwrap();
        repair(&folder);
        assert!(
            fs::read(&path).unwrap() == good,
            "{:?} is cut off",
            &tail[..tail.len().min(20)]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

/// As [`earlier_run`], of a run that ends without closing anything.
fn crashed_run() -> (TempDir, std::path::PathBuf, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    let path = append_and_crash(&sink, &records);
    close(sink);
    (folder, path, ids(&records))
}

/// The path of a file that is open when its writer crashes.
fn append_and_crash(sink: &FileSink, records: &[Record]) -> std::path::PathBuf {
    let mut chain = Chain::new(sink.topic(TOPIC).unwrap());
    chain
        .append(
            Lines::from_records(records).bytes(),
            records[0].context.time,
            Instant::now(),
        )
        .unwrap();
    let path = chain.open_path().unwrap().to_owned();
    chain.crash();
    path
}

/// Puts `torn` before each line of a file.
fn tear_each_line(path: &Path, torn: &str) {
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .split_inclusive('\n')
        .map(|line| format!("{torn}{line}"));
    fs::write(path, lines.collect::<String>()).unwrap();
}

#[test]
fn after_a_loss_of_power_no_torn_line_stays_before_good_ones() {
    let nul = "\0".repeat(300_000);
    for torn in [
        format!("{nul}\n"),
        format!("{nul}\"a\":1}}\n"),
        "{\"id\":\n".to_owned(),
        "\n".to_owned(),
    ] {
        let (folder, path, expected) = crashed_run();
        let good = fs::read(&path).unwrap();
        tear_each_line(&path, &torn);
        repair(&folder);
        assert!(
            fs::read(&path).unwrap() == good,
            "torn by {:?}",
            &torn[torn.len() - 1..]
        );
        assert_eq!(read_ids(folder.path()), expected);
        assert_eq!(file_names(folder.path()).len(), 1);
    }
}

#[test]
fn a_file_that_stayed_open_while_newer_ones_were_closed_is_repaired_as_well() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let records = numbered(0..6);
    let path = append_and_crash(&sink, &records[..3]);
    write(&mut *writer(&sink), &records[3..]).unwrap();
    close(sink);
    tear_each_line(&path, "\0\n");
    repair(&folder);
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn what_was_written_without_sync_is_repaired_once_there_is_sync() {
    let folder = TempDir::new().unwrap();
    let without = FileConfig {
        sync: false,
        ..config(&folder)
    };
    let sink = open(&without);
    let records = numbered(0..3);
    write(&mut *writer(&sink), &records).unwrap();
    close(sink);
    let path = folder
        .path()
        .join(TOPIC)
        .join(&file_names(folder.path())[0]);
    tear_each_line(&path, "\0\n");
    let torn = fs::read(&path).unwrap();
    let sink = open(&without);
    drop(writer(&sink));
    close(sink);
    assert_eq!(
        fs::read(&path).unwrap(),
        torn,
        "without sync, only ends are looked at"
    );
    repair(&folder);
    assert_eq!(read_ids(folder.path()), ids(&records));
}

#[test]
fn a_file_that_was_closed_in_order_is_not_read_again() {
    let (folder, path, _) = earlier_run();
    tear_each_line(&path, "not a record\n");
    let bytes = fs::read(&path).unwrap();
    repair(&folder);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::write(path.with_file_name(".closed"), "nonsense").unwrap();
    repair(&folder);
    assert_eq!(read_ids(folder.path()).len(), 3, "without the mark it is");
}

#[test]
fn a_file_without_a_whole_record_is_removed() {
    for content in ["", "{", "\0\0\0", "\n"] {
        let (folder, path, _) = earlier_run();
        fs::write(&path, content).unwrap();
        repair(&folder);
        assert_eq!(file_names(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn a_leftover_temporary_is_removed() {
    let (folder, path, ids) = earlier_run();
    fs::write(path.with_extension("ndjson.zst.tmp"), "half").unwrap();
    repair(&folder);
    assert_eq!(file_names(folder.path()).len(), 1);
    assert_eq!(read_ids(folder.path()), ids);
}

/// Writes the archive of `bytes` beside a file of lines.
fn archive(path: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let archive = path.with_extension("ndjson.zst");
    let mut encoder = zstd::Encoder::new(fs::File::create(&archive).unwrap(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    archive
}

#[test]
fn of_twins_the_archive_stays_where_a_crash_brought_back_a_part_of_its_source() {
    let (folder, path, ids) = earlier_run();
    let bytes = fs::read(&path).unwrap();
    let archive = archive(&path, &bytes);
    assert_eq!(read_ids(folder.path()), ids, "a reader takes one of them");
    let half = bytes.len() / 2;
    for source in [
        &bytes[..],
        &bytes[..half],
        &[&bytes[..half], &vec![0; half]].concat(),
    ] {
        fs::write(&path, source).unwrap();
        repair(&folder);
        assert_eq!(
            file_names(folder.path()),
            [archive.file_name().unwrap().to_str().unwrap()]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

#[test]
fn of_twins_the_uncompressed_one_stays_where_the_archive_is_not_whole() {
    let (folder, path, ids) = earlier_run();
    let bytes = fs::read(&path).unwrap();
    let whole = fs::read(archive(&path, &bytes)).unwrap();
    let mut wrong = whole.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let first_line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let less = fs::read(archive(&path, first_line)).unwrap();
    for broken in [&whole[..whole.len() - 1], &wrong, &less, b"", b"foreign"] {
        fs::write(path.with_extension("ndjson.zst"), broken).unwrap();
        repair(&folder);
        assert_eq!(
            file_names(folder.path()),
            [path.file_name().unwrap().to_str().unwrap()]
        );
        assert_eq!(read_ids(folder.path()), ids);
    }
}

#[test]
fn an_archive_stays_where_its_twin_holds_nothing() {
    let (folder, path, ids) = earlier_run();
    archive(&path, &fs::read(&path).unwrap());
    fs::write(&path, "\0").unwrap();
    repair(&folder);
    assert_eq!(read_ids(folder.path()), ids);
}

#[test]
fn foreign_files_are_left_alone() {
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
    repair(&folder);
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
fn names_go_on_after_those_of_earlier_runs() {
    let (folder, path, mut expected) = earlier_run();
    let future = path.with_file_name("29991231T235959.999Z-0000000777.ndjson");
    fs::rename(&path, &future).unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    write(&mut *writer(&sink), &records).unwrap();
    assert_eq!(
        file_names(folder.path())[1],
        "29991231T235959.999Z-0000000778.ndjson"
    );
    expected.extend(ids(&records));
    assert_eq!(read_ids(folder.path()), expected);
}
