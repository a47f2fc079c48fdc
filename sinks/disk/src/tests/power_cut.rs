//! The states that a power cut leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::fixture::{Traced, Tree, after_power_cut, empty_folder, expect, files, tree};
use crate::Operation;
use crate::testing::choices;

/// Returns the contents of a file in these states. It exists in all of them.
fn contents(states: &BTreeSet<Tree>, path: &str) -> BTreeSet<Vec<u8>> {
    states
        .iter()
        .map(|state| state[Path::new(path)].clone().unwrap())
        .collect()
}

/// Returns whole sectors with these bytes.
fn sectors(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte; 512]).collect()
}

#[test]
fn what_was_synced_stays_and_what_was_not_may_be_lost() {
    let traced = Traced::new();
    let mut file = traced.write_synced("file", b"synced");
    traced.sync_folder();
    traced.disk.write_all(&mut file, b" and not").unwrap();
    // Where the length is kept without the sector, the end reads as zeros.
    expect(
        &traced.states(),
        [
            files(&[("file", b"synced")]),
            files(&[("file", b"synced and not")]),
            files(&[("file", b"synced\0\0\0\0\0\0\0\0")]),
        ],
    );
}

#[test]
fn each_sector_is_kept_in_any_version_independently_of_the_others() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"abc"));
    traced.sync_folder();
    traced.disk.write_at(&file, &sectors(b"ABC"), 0).unwrap();
    traced.disk.write_at(&file, &sectors(b"x"), 512).unwrap();
    let mut expected = BTreeSet::new();
    for first in *b"aA" {
        for second in *b"bBx" {
            for third in *b"cC" {
                expected.insert(sectors(&[first, second, third]));
            }
        }
    }
    assert_eq!(contents(&traced.states(), "file"), expected);
}

#[test]
fn a_write_within_a_sector_keeps_the_bytes_beside_it() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"ab"));
    traced.sync_folder();
    traced.disk.write_at(&file, b"12", 511).unwrap();
    let found = contents(&traced.states(), "file");
    assert_eq!(found.len(), 4);
    for content in found {
        let mut rest = content.clone();
        rest[511] = b'a';
        rest[512] = b'b';
        assert_eq!(rest, sectors(b"ab"));
    }
}

#[test]
fn a_gap_before_a_sector_that_is_kept_reads_as_zeros() {
    let traced = Traced::new();
    let file = traced.write_synced("file", b"a");
    traced.sync_folder();
    traced.disk.write_at(&file, b"z", 1024).unwrap();
    let mut with_gap = vec![0; 1025];
    with_gap[0] = b'a';
    let mut with_end = with_gap.clone();
    with_end[1024] = b'z';
    assert_eq!(
        contents(&traced.states(), "file"),
        [b"a".to_vec(), with_gap, with_end].into()
    );
}

#[test]
fn a_length_that_was_not_synced_is_any_since_the_last_sync() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"ab"));
    traced.sync_folder();
    traced.disk.set_len(&file, 512).unwrap();
    traced.disk.set_len(&file, 2048).unwrap();
    // A sector that was cut off comes back with its content or as zeros.
    assert_eq!(
        contents(&traced.states(), "file"),
        [&b"ab"[..], b"a\0", b"a", b"ab\0\0", b"a\0\0\0"]
            .map(sectors)
            .into()
    );
}

#[test]
fn a_synced_truncation_stays() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"ab"));
    traced.sync_folder();
    traced.disk.set_len(&file, 100).unwrap();
    traced.disk.set_len(&file, 200).unwrap();
    traced.disk.sync_data(&file).unwrap();
    let mut expected = vec![0; 200];
    expected[..100].fill(b'a');
    assert_eq!(contents(&traced.states(), "file"), [expected].into());
}

#[test]
fn a_new_name_may_be_lost_until_its_folder_is_synced() {
    let traced = Traced::new();
    traced.write_synced("file", b"a");
    let kept = files(&[("file", b"a")]);
    expect(&traced.states(), [kept.clone(), Tree::new()]);

    let traced = Traced::new();
    traced.write_synced("file", b"a");
    traced.sync_folder();
    expect(&traced.states(), [kept]);
}

#[test]
fn a_name_may_be_kept_without_its_content() {
    let traced = Traced::new();
    traced.write("file", b"a");
    traced.sync_folder();
    expect(
        &traced.states(),
        [&b""[..], b"\0", b"a"].map(|content| files(&[("file", content)])),
    );
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    let traced = Traced::new();
    traced.write_synced("file", b"old");
    traced.sync_folder();
    traced.write_synced("new", b"new");
    traced.rename("new", "file");
    let replaced = files(&[("file", b"new")]);
    // The rename is kept even where the creation is not.
    expect(
        &traced.states(),
        [
            replaced,
            files(&[("file", b"old")]),
            files(&[("file", b"old"), ("new", b"new")]),
        ],
    );
}

#[test]
fn a_file_that_is_renamed_twice_has_one_name() {
    let traced = Traced::new();
    traced.write_synced("a", b"1");
    traced.sync_folder();
    traced.rename("a", "b");
    traced.rename("b", "c");
    expect(
        &traced.states(),
        ["a", "b", "c"].map(|name| files(&[(name, b"1")])),
    );
}

#[test]
fn a_rename_that_is_kept_frees_the_old_name_even_if_an_earlier_one_is_lost() {
    let traced = Traced::new();
    traced.write_synced("a", b"1");
    traced.write_synced("b", b"2");
    traced.sync_folder();
    traced.rename("a", "b");
    traced.rename("b", "c");
    expect(
        &traced.states(),
        [
            files(&[("a", b"1"), ("b", b"2")]),
            files(&[("b", b"1")]),
            files(&[("c", b"1")]),
        ],
    );
}

#[test]
fn a_removed_file_may_come_back_until_its_folder_is_synced() {
    let removed = || {
        let traced = Traced::new();
        traced.write_synced("a", b"1");
        traced.sync_folder();
        traced.rename("a", "b");
        traced.disk.remove(&traced.path("b")).unwrap();
        traced.disk.remove(&traced.path("b")).unwrap();
        traced
    };
    expect(
        &removed().states(),
        [Tree::new(), files(&[("a", b"1")]), files(&[("b", b"1")])],
    );
    let traced = removed();
    traced.sync_folder();
    expect(&traced.states(), [Tree::new()]);
}

#[test]
fn a_name_that_is_given_again_leads_to_the_new_file() {
    let traced = Traced::new();
    traced.write_synced("a", b"1");
    traced.sync_folder();
    traced.disk.remove(&traced.path("a")).unwrap();
    traced.write_synced("a", b"2");
    expect(
        &traced.states(),
        [Tree::new(), files(&[("a", b"1")]), files(&[("a", b"2")])],
    );
}

#[test]
fn a_folder_that_is_lost_takes_along_what_is_in_it() {
    let build = |sync| {
        let traced = Traced::new();
        traced
            .disk
            .create_folders(&traced.path("x/y"), sync)
            .unwrap();
        traced.write_synced("x/y/file", b"a");
        traced.disk.sync_folder(&traced.path("x/y")).unwrap();
        traced
    };
    let folders =
        |paths: &[&str]| -> Tree { paths.iter().map(|path| (path.into(), None)).collect() };
    let mut whole = folders(&["x", "x/y"]);
    whole.extend(files(&[("x/y/file", b"a")]));
    expect(
        &build(false).states(),
        [Tree::new(), folders(&["x"]), whole.clone()],
    );
    expect(&build(true).states(), [whole]);
}

#[test]
fn what_a_failed_sync_should_have_written_stays_in_doubt() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"ab"));
    traced.sync_folder();
    traced.disk.write_at(&file, &sectors(b"AB"), 0).unwrap();
    traced.disk.faults.fail(Operation::Sync, 1);
    traced.disk.sync_data(&file).unwrap_err();
    traced.disk.write_at(&file, &sectors(b"2"), 512).unwrap();
    traced.disk.sync_data(&file).unwrap();
    traced.disk.write_at(&file, &sectors(b"3"), 512).unwrap();
    traced.disk.sync_data(&file).unwrap();
    // Only the second sector was written again.
    assert_eq!(
        contents(&traced.states(), "file"),
        [sectors(b"a3"), sectors(b"A3")].into()
    );
}

#[test]
fn a_length_set_since_a_failed_sync_is_durable_once_it_is_synced() {
    let traced = Traced::new();
    let file = traced.write_synced("file", b"");
    traced.sync_folder();
    traced.disk.set_len(&file, 1).unwrap();
    traced.disk.faults.fail(Operation::Sync, 1);
    traced.disk.sync_data(&file).unwrap_err();
    for length in [2, 3] {
        traced.disk.set_len(&file, length).unwrap();
        traced.disk.sync_data(&file).unwrap();
    }
    expect(&traced.states(), [files(&[("file", &[0; 3])])]);
}

#[test]
fn power_can_fail_at_any_change() {
    let traced = Traced::new();
    let mut file = traced.write_synced("file", b"1");
    traced.sync_folder();
    traced.disk.write_all(&mut file, b"2").unwrap();
    assert_eq!(traced.disk.trace.changes(), 5);
    let recording = traced.disk.trace.end();
    let one = files(&[("file", b"1")]);
    let expected = [
        (Tree::new(), Tree::new()),
        (files(&[("file", b"")]), Tree::new()),
        (one.clone(), Tree::new()),
        (one.clone(), Tree::new()),
        (one.clone(), one.clone()),
        (files(&[("file", b"12")]), one),
    ];
    for (changes, expected) in expected.into_iter().enumerate() {
        let newest = after_power_cut(&recording, changes, |options| options - 1);
        let oldest = after_power_cut(&recording, changes, |_| 0);
        assert_eq!((newest, oldest), expected, "after {changes}");
    }
}

#[test]
fn the_same_seed_leads_to_the_same_state() {
    let traced = Traced::new();
    traced.write("file", &sectors(b"abcdefgh"));
    let recording = traced.disk.trace.end();
    let changes = recording.changes.len();
    for seed in 0..20 {
        let state = || after_power_cut(&recording, changes, choices(seed));
        assert_eq!(state(), state());
    }
}

#[test]
fn power_can_fail_again_in_a_folder_that_a_power_cut_left() {
    let traced = Traced::new();
    let file = traced.write_synced("file", &sectors(b"ab"));
    traced.sync_folder();
    traced.disk.write_at(&file, &sectors(b"AB"), 0).unwrap();
    let recording = traced.disk.trace.end();
    let mut found = BTreeSet::new();
    for seed in 0..40 {
        let built = empty_folder();
        let changes = recording.changes.len();
        recording
            .cut_power(changes, choices(seed), built.path())
            .unwrap();
        let first = tree(built.path());

        let traced = Traced::in_folder(built);
        let file = traced.disk.open(&traced.path("file")).unwrap();
        traced.disk.write_at(&file, &sectors(b"x"), 512).unwrap();
        let states = traced.states();
        assert!(states.contains(&first), "what was left is durable");
        found.extend(contents(&states, "file"));
    }
    assert_eq!(
        found,
        [b"ab", b"Ab", b"aB", b"AB", b"ax", b"Ax"]
            .map(|bytes| sectors(bytes))
            .into()
    );
}

#[test]
fn changes_outside_of_the_folder_are_not_recorded() {
    let traced = Traced::new();
    let elsewhere = empty_folder();
    let disk = &traced.disk;
    let path = elsewhere.path().join("file");
    let mut file = disk.create(&path).unwrap();
    disk.write_all(&mut file, b"a").unwrap();
    disk.sync_data(&file).unwrap();
    disk.sync_folder(elsewhere.path()).unwrap();
    disk.set_len(&disk.open(&path).unwrap(), 0).unwrap();
    disk.rename(&path, &elsewhere.path().join("renamed"))
        .unwrap();
    disk.remove(&elsewhere.path().join("renamed")).unwrap();
    disk.create_folders(&elsewhere.path().join("a/b"), true)
        .unwrap();
    assert_eq!(disk.trace.changes(), 0);
}

#[test]
fn a_state_is_built_in_an_empty_folder_alone() {
    let traced = Traced::new();
    let recording = traced.disk.trace.end();
    let built = empty_folder();
    fs::write(built.path().join("file"), "").unwrap();
    let error = recording.cut_power(0, |_| 0, built.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
}
