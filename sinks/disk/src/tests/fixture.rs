//! The helpers of the tests: a traced disk, and the states that a power cut leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Disk;
use crate::testing::{Recording, choices};

/// The number of power cuts that a test tries.
const SEEDS: u64 = 400;

/// The content of a folder: each path below it with the bytes of a file, or `None` for a folder.
pub(super) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A disk, and a temporary folder in which its trace has begun.
pub(super) struct Traced {
    pub(super) disk: Disk,
    folder: TempDir,
}

impl Traced {
    pub(super) fn new() -> Self {
        Self::in_folder(empty_folder())
    }

    pub(super) fn in_folder(folder: TempDir) -> Self {
        let disk = Disk::default();
        disk.trace.begin(folder.path()).unwrap();
        Self { disk, folder }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(super) fn tree(&self) -> Tree {
        tree(self.folder.path())
    }

    pub(super) fn sync_folder(&self) {
        self.disk.sync_folder(self.folder.path()).unwrap();
    }

    /// Creates a file with this content, and syncs neither.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> fs::File {
        let mut file = self.disk.create(&self.path(path)).unwrap();
        self.disk.write_all(&mut file, bytes).unwrap();
        file
    }

    /// Creates a file with this content, and syncs the content and not the name.
    pub(super) fn write_synced(&self, path: &str, bytes: &[u8]) -> fs::File {
        let file = self.write(path, bytes);
        self.disk.sync_data(&file).unwrap();
        file
    }

    /// Renames a file, and does not sync the folder.
    pub(super) fn rename(&self, from: &str, to: &str) {
        let (from, to) = (self.path(from), self.path(to));
        self.disk.rename(&from, &to).unwrap();
    }

    /// Returns the states that power cuts at the end of the trace leave behind.
    pub(super) fn states(&self) -> BTreeSet<Tree> {
        let recording = self.disk.trace.end();
        (0..SEEDS)
            .map(|seed| after_power_cut(&recording, recording.changes.len(), choices(seed)))
            .collect()
    }
}

/// Creates a folder in memory, where syncs take no time, or on the disk where there is no such.
pub(super) fn empty_folder() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

/// Returns the content of a folder.
pub(super) fn tree(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                tree.insert(name, None);
                folders.push(path);
            } else {
                tree.insert(name, Some(fs::read(path).unwrap()));
            }
        }
    }
    tree
}

/// Returns the state after a power cut behind this number of changes.
pub(super) fn after_power_cut(
    recording: &Recording,
    changes: usize,
    choose: impl FnMut(usize) -> usize,
) -> Tree {
    let folder = empty_folder();
    recording.cut_power(changes, choose, folder.path()).unwrap();
    tree(folder.path())
}

/// Returns the tree with these files.
pub(super) fn files(files: &[(&str, &[u8])]) -> Tree {
    files
        .iter()
        .map(|(path, bytes)| (path.into(), Some((*bytes).to_owned())))
        .collect()
}

/// Checks that these are all states that are possible.
#[track_caller]
pub(super) fn expect(states: &BTreeSet<Tree>, expected: impl IntoIterator<Item = Tree>) {
    let expected: BTreeSet<_> = expected.into_iter().collect();
    let missing: Vec<_> = expected.difference(states).collect();
    let wrong: Vec<_> = states.difference(&expected).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "missing: {missing:?}\nwrong: {wrong:?}"
    );
}
