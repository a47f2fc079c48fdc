//! The file of the next segment: when it is made, and of what.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use iem_sink::testing::record;
use tempfile::TempDir;

use super::world::{config, new_folder};
use crate::{AppendError, Appender, Journal, JournalConfig, Request, Settlement};

const SEGMENT_BYTES: u64 = 1 << 20;

/// Opens a journal whose segments are large enough for the thread that makes spare files to wait.
fn open(folder: &TempDir) -> Journal {
    let config = JournalConfig {
        segment_bytes: SEGMENT_BYTES,
        bytes: 8 * SEGMENT_BYTES,
        ..config(folder.path(), 8)
    };
    Journal::open(Arc::default(), config).expect("a journal")
}

fn append(appender: &mut Appender, bytes: usize) -> Result<u64, AppendError> {
    let record = [record("1001/a", vec![b'x'; bytes])];
    let sequences = appender.append(&[Request::new(&record)])?;
    Ok(sequences.end)
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").ino()
}

#[test]
fn a_settled_segment_becomes_the_next_one_and_none_is_made() {
    let folder = new_folder();
    let Journal {
        mut appender,
        progress,
        spare_maker,
        ..
    } = open(&folder);
    let first = folder.path().join(format!("{:020}.journal", 0));
    let spare = folder.path().join("next");
    thread::scope(|scope| {
        scope.spawn(|| spare_maker.run());
        eventually("a lone segment has one made", || spare.exists());
        let first = inode(&first);
        let mut end = 0;
        while progress.status().segments < 2 {
            end = append(&mut appender, 60_000).expect("room");
        }
        assert!(!spare.exists(), "the one before may be settled");
        progress.settle(0..end - 1, Settlement::Delivered);
        appender.checkpoint(true).expect("room");
        assert_eq!(inode(&spare), first);
        drop(appender);
    });
}

#[test]
fn a_closed_journal_makes_no_segment_and_gives_its_folder_free() {
    let folder = new_folder();
    let Journal {
        appender,
        progress,
        reader,
        spare_maker,
        ..
    } = open(&folder);
    drop(appender);
    let made = spare_maker.make();
    assert!(
        made.is_err(),
        "the thread is told to end while it makes one"
    );
    let names = fs::read_dir(folder.path()).expect("a folder");
    let names: Vec<_> = names
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("next"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    spare_maker.run();
    drop((progress, reader));
    open(&folder);
}

#[test]
fn a_request_that_does_not_fit_waits_for_the_next_segment() {
    let folder = new_folder();
    let Journal {
        mut appender,
        spare_maker,
        ..
    } = open(&folder);
    thread::scope(|scope| {
        scope.spawn(|| spare_maker.run());
        append(&mut appender, 0).expect("room");
        eventually("the thread runs", || {
            append(&mut appender, 1_000_000).is_ok()
        });
        // None is settled, and all of them are made.
        for _ in 0..4 {
            assert!(!appender.is_full());
            append(&mut appender, 1_000_000).expect("it waits for the file");
        }
        drop(appender);
    });
}
