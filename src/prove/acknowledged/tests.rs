//! Tests of the file of acknowledged records.

use std::fs;

use super::*;

fn header() -> Header {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_372_120_123);
    Header {
        keys: 64,
        records: 1000,
        offsets: BTreeMap::from([(0, 17), (11, 4)]),
        ..Header::new(
            "r1".into(),
            "event".into(),
            "Kafka topic events".into(),
            now,
        )
    }
}

fn batch(key: u32, first: u32, count: u32) -> Batch {
    Batch {
        key,
        numbers: first..first + count,
    }
}

/// Writes a file with three acknowledgements.
fn written(folder: &Path) -> PathBuf {
    let path = folder.join("acknowledged");
    let appender = Appender::create(&path, &header()).expect("a file");
    let recorder = appender.recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for batch in [batch(17, 120, 1), batch(3, 0, 10), batch(17, 121, 1)] {
        assert!(runtime.block_on(recorder.remember(batch)));
    }
    drop(recorder);
    appender.finish().expect("it is written");
    path
}

fn entries(path: &Path) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let read = read(path, |_, entry| entries.push(entry));
    let read = read.map_err(|error| error.to_string())?;
    assert_eq!(read, header());
    Ok(entries)
}

fn expected() -> Vec<Entry> {
    [batch(17, 120, 1), batch(3, 0, 10), batch(17, 121, 1)]
        .map(Entry::Acknowledged)
        .to_vec()
}

#[test]
fn what_was_remembered_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    assert_eq!(entries(&path), Ok(expected()));
    let text = fs::read_to_string(&path).expect("text");
    assert!(text.ends_with("}\n17 120\n3 0 10\n17 121\n"), "{text}");
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let error = Appender::create(&path, &header()).err().expect("an error");
    assert!(error.to_string().contains("exists"), "{error}");
    assert_eq!(entries(&path), Ok(expected()));
}

#[test]
fn a_torn_tail_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let whole = fs::read(&path).expect("bytes");
    let begin = whole.len() - "17 121\n".len();
    for length in begin..whole.len() {
        fs::write(&path, &whole[..length]).expect("a file");
        assert_eq!(
            entries(&path),
            Ok(expected()[..2].to_vec()),
            "{length} bytes"
        );
    }
}

#[test]
fn a_block_that_was_never_written_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let whole = fs::read_to_string(&path).expect("text");
    fs::write(&path, whole.replace("0 10\n17", "0 \0\0\0\x007")).expect("a file");
    assert_eq!(entries(&path), Ok(expected()[..1].to_vec()));
    fs::write(&path, format!("{whole}\0\0\0\0")).expect("a file");
    assert_eq!(entries(&path), Ok(expected()));
}

#[test]
fn a_reading_is_noted_behind_a_torn_line_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let whole = fs::read(&path).expect("bytes");
    fs::write(&path, &whole[..whole.len() - 1]).expect("a file");
    append_reading(&path).expect("it is noted");
    let mut with_reading = expected()[..2].to_vec();
    with_reading.push(Entry::Read);
    assert_eq!(entries(&path), Ok(with_reading));
}

#[test]
fn a_damaged_line_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path());
    let whole = fs::read_to_string(&path).expect("text");
    for damaged in ["3 0 x", "3", "", "3 0 1 1", "3 4294967295 9", "3 -1"] {
        fs::write(&path, whole.replace("3 0 10", damaged)).expect("a file");
        let error = entries(&path).expect_err("an error");
        assert!(error.ends_with("line 3 is damaged"), "{damaged}: {error}");
    }
}

#[test]
fn another_file_is_told_from_one_of_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other");
    let line = serde_json::to_string(&header()).expect("JSON");
    for text in ["", "17 120\n", &line, &line.replace("prove 1", "prove 2")] {
        fs::write(&path, text).expect("a file");
        let error = read(&path, |_, _| {}).expect_err("an error").to_string();
        assert!(error.contains("has no first line"), "{error}");
    }
}
