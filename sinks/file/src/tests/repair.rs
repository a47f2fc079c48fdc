//! What a crash leaves behind, and what the next start makes of it.

use std::io::Write as _;

use super::*;

/// A folder with one closed file of three records; its path and its ids.
fn earlier_run() -> (TempDir, std::path::PathBuf, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let records = numbered(0..3);
    let sink = open(&config(&folder));
    write(&mut *writer(&sink), &records).unwrap();
    close(sink);
    let path = folder.path().join(TOPIC).join(&file_names(folder.path())[0]);
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
        fs::File::options().append(true).open(&path).unwrap().write_all(tail).unwrap();
        repair(&folder);
        assert!(fs::read(&path).unwrap() == good, "{:?} is cut off", &tail[..tail.len().min(20)]);
        assert_eq!(read_ids(folder.path()), ids);
    }
}

#[test]
fn nothing_is_cut_out_of_the_middle() {
    let (folder, path, _) = earlier_run();
    let mut bytes = fs::read(&path).unwrap();
    bytes.splice(0..0, *b"not a record\n");
    fs::write(&path, &bytes).unwrap();
    repair(&folder);
    assert_eq!(fs::read(&path).unwrap(), bytes);
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

#[test]
fn of_twins_the_uncompressed_one_stays() {
    let (folder, path, ids) = earlier_run();
    let compressed = zstd::encode_all(&*fs::read(&path).unwrap(), 3).unwrap();
    fs::write(path.with_extension("ndjson.zst"), &compressed).unwrap();
    assert_eq!(read_ids(folder.path()), ids, "a reader takes one of them");
    repair(&folder);
    assert_eq!(file_names(folder.path()), [path.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(read_ids(folder.path()), ids);
}

#[test]
fn an_archive_stays_where_its_twin_holds_nothing() {
    let (folder, path, ids) = earlier_run();
    fs::write(path.with_extension("ndjson.zst"), zstd::encode_all(&*fs::read(&path).unwrap(), 3).unwrap())
        .unwrap();
    fs::write(&path, "\0").unwrap();
    repair(&folder);
    assert_eq!(read_ids(folder.path()), ids);
}

#[test]
fn foreign_files_are_left_alone() {
    let (folder, path, ids) = earlier_run();
    let foreign = ["notes.txt", "copy.ndjson", "20261122T182840.123Z-1.ndjson", "x.ndjson.zst.tmp"];
    for name in foreign {
        fs::write(path.with_file_name(name), "torn").unwrap();
    }
    fs::create_dir(path.with_file_name("20261122T182840.123Z-0000000009.ndjson")).unwrap();
    repair(&folder);
    for name in foreign {
        assert_eq!(fs::read_to_string(path.with_file_name(name)).unwrap(), "torn");
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
    assert_eq!(file_names(folder.path())[1], "29991231T235959.999Z-0000000778.ndjson");
    expected.extend(ids(&records));
    assert_eq!(read_ids(folder.path()), expected);
}
