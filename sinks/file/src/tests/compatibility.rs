//! The names and formats on the disk, which must not change: readers depend on them, and an earlier
//! version may have written the data directory.

use std::fs;
use std::io::Write as _;

use iem_sink::Sink;
use tempfile::TempDir;

use super::fixture::{TOPIC, close, config, ids, numbered, open, read_ids, soon, write, writer};

/// Returns the names in a topic's folder, with the hidden ones, in order.
fn all_names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder.path().join(TOPIC))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_closed_file_is_named_by_time_and_sequence_number_and_covered_by_the_checkpoint() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    write(&mut writer(&sink), &numbered(0..3)).unwrap();
    close(sink);
    let names = all_names(&folder);
    let [checkpoint, file] = &names[..] else {
        panic!("{names:?}");
    };
    assert_eq!(checkpoint, ".closed");
    assert!(file.ends_with("Z-0000000001.ndjson"), "{file}");
    let checkpoint = fs::read_to_string(folder.path().join(TOPIC).join(".closed")).unwrap();
    assert_eq!(format!("{checkpoint}.ndjson"), *file);
}

#[test]
fn the_lock_file_names_the_process() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let note = fs::read_to_string(folder.path().join(".lock")).unwrap();
    let start = format!("process {}, since ", std::process::id());
    let time = note.strip_prefix(&start).unwrap().strip_suffix("Z\n");
    assert_eq!(time.unwrap().len(), "2026-11-22T18:28:40".len());
    close(sink);
}

/// A folder in the format of version 0.1: an archive with an uncompressed file left by a crash, a
/// closed file, an unfinished archive of it, and a torn file behind the checkpoint.
#[test]
fn a_data_directory_of_an_earlier_version_is_recovered_and_continued() {
    let folder = TempDir::new().unwrap();
    let topic = folder.path().join(TOPIC);
    fs::create_dir(&topic).unwrap();
    fs::write(
        folder.path().join(".lock"),
        "process 1, since 2026-11-22T18:28:40Z\n",
    )
    .unwrap();
    fs::write(topic.join(".closed"), "20261122T182840.123Z-0000000002").unwrap();
    let line = |id: &str| format!("{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"data\":{{}}}}\n");
    let archive = topic.join("20261122T182840.123Z-0000000001.ndjson.zst");
    let mut encoder = zstd::Encoder::new(fs::File::create(archive).unwrap(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder
        .write_all((line("a") + &line("b")).as_bytes())
        .unwrap();
    encoder.finish().unwrap();
    for (name, content) in [
        ("20261122T182840.123Z-0000000001.ndjson", line("a")),
        ("20261122T182840.123Z-0000000002.ndjson", line("c")),
        (
            "20261122T182840.123Z-0000000002.ndjson.zst.tmp",
            "half".to_owned(),
        ),
        (
            "20261122T182841.000Z-0000000003.ndjson",
            format!("\0\0\n{}{{\"id", line("d")),
        ),
    ] {
        fs::write(topic.join(name), content).unwrap();
    }

    let sink = open(&config(&folder));
    let records = numbered(0..1);
    write(&mut writer(&sink), &records).unwrap();
    sink.check(soon()).unwrap();
    close(sink);

    let mut expected: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
    expected.extend(ids(&records));
    assert_eq!(read_ids(folder.path()), expected);
    let names = all_names(&folder);
    assert_eq!(
        names[..4],
        [
            ".closed",
            "20261122T182840.123Z-0000000001.ndjson.zst",
            "20261122T182840.123Z-0000000002.ndjson",
            "20261122T182841.000Z-0000000003.ndjson",
        ]
    );
    assert!(
        names[4].ends_with("-0000000004.ndjson") && names.len() == 5,
        "{names:?}"
    );
}
