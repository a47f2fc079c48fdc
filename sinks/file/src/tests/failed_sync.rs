//! Failed syncs: the file is not synced again, and not trusted by the next start.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use iem_disk::Operation::{self, Sync, SyncFolder, Write};
use iem_sink::testing::BlockingWriter;
use tempfile::TempDir;

use super::fixture::{
    TOPIC, close, config, file_names, first_file, ids, inode, numbered, open, read_ids, write,
    writer,
};
use crate::line::Lines;
use crate::sink::FileSink;

/// Delivers three records, makes the next three fail by these faults, and delivers them again, to a
/// new file. Returns the inode of the first file.
fn deliver_after(faults: &[Operation], sink: &FileSink, folder: &Path) -> u64 {
    let mut writer = writer(sink);
    let records = numbered(0..6);
    write(&mut writer, &records[..3]).unwrap();
    let first = inode(first_file(folder));
    fail(faults, sink, &mut writer);
    write(&mut writer, &records[3..]).unwrap();
    assert_eq!(read_ids(folder), ids(&records));
    assert_eq!(file_names(folder).len(), 2);
    first
}

/// Makes a batch fail by these faults.
fn fail(faults: &[Operation], sink: &FileSink, writer: &mut BlockingWriter) {
    for fault in faults {
        sink.directory.disk.faults.fail(*fault, 1);
    }
    write(writer, &numbered(0..3)).unwrap_err();
}

/// Returns lines of three records whose first half never reached the disk: the last line is
/// well-formed.
fn torn_lines() -> (Vec<u8>, String) {
    let records = numbered(0..3);
    let mut lines = Lines::from_records(&records).bytes().to_vec();
    let half = lines.len() / 2;
    lines[..half].fill(0);
    (lines, records[2].id.to_string())
}

/// Returns the name of the last file that the checkpoint covers.
fn checkpoint(folder: &Path) -> Option<String> {
    let stem = fs::read_to_string(folder.join(TOPIC).join(".closed")).ok()?;
    Some(format!("{stem}.ndjson"))
}

/// Starts and ends a sink.
fn recover(folder: &TempDir) {
    let sink = open(&config(folder));
    drop(writer(&sink));
    close(sink);
}

#[test]
fn after_a_failed_sync_a_file_is_not_synced_again() {
    // In the second case the batch is not written as a whole, and the sync of the truncated file
    // fails.
    for faults in [&[Sync][..], &[Write, Sync]] {
        let folder = TempDir::new().unwrap();
        let sink = open(&config(&folder));
        let first = deliver_after(faults, &sink, folder.path());
        let syncs = sink.directory.disk.faults.syncs_of(first);
        assert_eq!(syncs, 2, "one has succeeded and one has failed: {faults:?}");
    }
}

#[test]
fn a_file_whose_batch_failed_is_synced_and_covered_by_the_checkpoint_if_no_sync_failed() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let first = deliver_after(&[Write], &sink, folder.path());
    assert_eq!(sink.directory.disk.faults.syncs_of(first), 2);
    let names = file_names(folder.path());
    assert_eq!(checkpoint(folder.path()).as_ref(), names.last());
}

#[test]
fn lines_that_come_back_after_a_failed_sync_are_recovered() {
    for faults in [&[Sync][..], &[Write, Sync]] {
        let folder = TempDir::new().unwrap();
        let sink = open(&config(&folder));
        deliver_after(faults, &sink, folder.path());
        close(sink);
        let delivered = read_ids(folder.path());

        // The power fails, and the truncation has not reached the disk.
        let (lines, well_formed) = torn_lines();
        let first = fs::File::options()
            .append(true)
            .open(first_file(folder.path()));
        first.unwrap().write_all(&lines).unwrap();
        recover(&folder);

        let mut expected = delivered;
        expected.insert(3, well_formed);
        assert_eq!(read_ids(folder.path()), expected);
        let names = file_names(folder.path());
        assert_eq!(checkpoint(folder.path()).as_ref(), names.last());
    }
}

#[test]
fn a_removed_file_that_comes_back_after_a_failed_sync_of_its_folder_is_recovered() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let mut writer = writer(&sink);
    fail(&[SyncFolder, SyncFolder], &sink, &mut writer);
    let records = numbered(0..3);
    write(&mut writer, &records).unwrap();
    drop(writer);
    close(sink);

    // The power fails, and the removal has not reached the disk.
    let name = file_names(folder.path())[0].replace("0002.ndjson", "0001.ndjson");
    let (lines, well_formed) = torn_lines();
    fs::write(folder.path().join(TOPIC).join(name), lines).unwrap();
    recover(&folder);

    let mut expected = ids(&records);
    expected.insert(0, well_formed);
    assert_eq!(read_ids(folder.path()), expected);
}

#[test]
fn a_removed_file_is_covered_by_the_checkpoint_if_its_removal_is_on_the_disk() {
    for fault in [Sync, SyncFolder] {
        let folder = TempDir::new().unwrap();
        let sink = open(&config(&folder));
        let mut writer = writer(&sink);
        fail(&[fault], &sink, &mut writer);
        write(&mut writer, &numbered(0..3)).unwrap();
        drop(writer);
        let names = file_names(folder.path());
        assert_eq!(checkpoint(folder.path()).as_ref(), names.last());
    }
}

#[test]
fn the_checkpoint_moves_up_to_a_file_whose_sync_failed() {
    let folder = TempDir::new().unwrap();
    let sink = open(&config(&folder));
    let (mut first, mut second) = (writer(&sink), writer(&sink));
    write(&mut first, &numbered(0..3)).unwrap();
    write(&mut second, &numbered(0..3)).unwrap();
    fail(&[Sync], &sink, &mut second);
    drop(second);
    assert_eq!(checkpoint(folder.path()), None);
    drop(first);
    let names = file_names(folder.path());
    assert_eq!(checkpoint(folder.path()).as_ref(), names.first());
}
