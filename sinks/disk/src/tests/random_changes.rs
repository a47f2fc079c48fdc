//! Random changes, whose simulated effect is compared with the real one.

use std::fs::File;

use super::fixture::{Traced, after_power_cut};
use crate::testing::{SplitMix, choices};

/// The paths that changes use.
const PATHS: [&str; 5] = ["a", "b", "c", "inner/a", "inner/b"];
/// The number of changes of a sequence.
const CHANGES: usize = 40;

/// A traced disk and the files that are open, some of them renamed or removed since.
struct Changing {
    traced: Traced,
    open: Vec<File>,
}

impl Changing {
    fn new() -> Self {
        let traced = Traced::new();
        let inner = traced.path("inner");
        traced.disk.create_folders(&inner, true).unwrap();
        Self {
            traced,
            open: Vec::new(),
        }
    }

    /// Makes a change, or none where it is not possible.
    fn change(&mut self, random: &mut SplitMix) {
        let disk = &self.traced.disk;
        let path = self.traced.path(PATHS[random.below(PATHS.len())]);
        let offset = random.below(2000);
        let mut bytes = vec![0; random.below(1500)];
        bytes.fill_with(|| u8::try_from(random.below(256)).unwrap());
        let kind = random.below(9);
        if kind == 0 {
            self.open.extend(disk.create(&path));
            return;
        }
        if kind == 1 {
            let other = path.with_file_name(["a", "b"][random.below(2)]);
            let _ = disk.rename(&path, &other);
            return;
        }
        if kind == 2 {
            disk.remove(&path).unwrap();
            return;
        }
        if kind == 3 {
            disk.sync_folder(path.parent().unwrap()).unwrap();
            return;
        }
        if self.open.is_empty() {
            return;
        }
        let file = random.below(self.open.len());
        let file = &mut self.open[file];
        match kind {
            4 => disk.set_len(file, offset as u64).unwrap(),
            5 => disk.sync_data(file).unwrap(),
            6 => disk.write_all(file, &bytes).unwrap(),
            _ => disk.write_at(file, &bytes, offset as u64).unwrap(),
        }
    }

    fn sync_all(&self) {
        let disk = &self.traced.disk;
        for file in &self.open {
            disk.sync_data(file).unwrap();
        }
        disk.sync_folder(&self.traced.path("inner")).unwrap();
        self.traced.sync_folder();
    }
}

/// A disk that keeps everything is in the state that the changes have really led to.
#[test]
fn a_power_cut_that_loses_nothing_leaves_what_a_reader_saw_after_each_change() {
    for seed in 0..20 {
        let mut random = SplitMix::new(seed);
        let mut changing = Changing::new();
        let mut expected = Vec::new();
        for _ in 0..CHANGES {
            changing.change(&mut random);
            expected.push((changing.traced.disk.trace.changes(), changing.traced.tree()));
        }
        let recording = changing.traced.disk.trace.end();
        for (changes, expected) in expected {
            let found = after_power_cut(&recording, changes, |options| options - 1);
            assert!(found == expected, "seed {seed} after {changes}");
        }
    }
}

#[test]
fn whatever_is_lost_all_that_was_synced_stays() {
    for seed in 0..20 {
        let mut random = SplitMix::new(seed);
        let mut changing = Changing::new();
        for _ in 0..CHANGES {
            changing.change(&mut random);
        }
        changing.sync_all();
        let expected = changing.traced.tree();
        let recording = changing.traced.disk.trace.end();
        let changes = recording.changes.len();
        for seed in 0..10 {
            let found = after_power_cut(&recording, changes, choices(seed));
            assert!(found == expected, "seed {seed}");
        }
    }
}
