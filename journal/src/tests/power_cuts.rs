//! Power cuts behind every change of the disk, and again behind every change of the recovery. Also
//! behind a process that was killed: what it had not synced is still to be seen, and not durable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use iem_disk::testing::{Change, FileId, Found, Recording, choices};
use iem_disk::{Disk, Operation};

use super::oracle::Oracle;
use super::world::{World, config, new_folder};

const SEGMENTS: u64 = 3;

/// The runs of each test. `POWER_CUT_RUNS` in the environment makes more.
const RUNS: u64 = 3;

/// The knowledge at the time when the disk had so many changes.
struct Moment {
    changes: usize,
    oracle: Oracle,
}

/// The operations that fail.
const FAILURES: [Operation; 6] = [
    Operation::Write,
    Operation::Sync,
    Operation::SyncFolder,
    Operation::Open,
    Operation::Rename,
    Operation::Remove,
];

/// A run of a journal whose disk is traced from an empty folder or a built one.
struct Run {
    /// The state before it was opened, and a later one that it may have been in.
    known: [Oracle; 2],
    moments: Vec<Moment>,
    recording: Recording,
}

/// Opens a journal in a folder and uses it, as `seed` says. With `fails`, its disk fails at times.
fn run(folder: &Path, before: [&Oracle; 2], seed: u64, steps: usize, fails: bool) -> Run {
    let disk = Arc::new(Disk::default());
    disk.trace.begin(folder).expect("a folder");
    let mut choose = choices(seed);
    let config = config(folder, SEGMENTS);
    let [oracle, later] = before;
    let opened = World::open(Arc::clone(&disk), config, oracle, later);
    let mut world = opened.expect("a state that a power cut leaves can be opened");
    let mut moments = Vec::new();
    let note = |world: &World, moments: &mut Vec<Moment>| {
        moments.push(Moment {
            changes: world.disk.trace.changes(),
            oracle: world.oracle.clone(),
        });
    };
    note(&world, &mut moments);
    for step in 0..steps {
        if fails && choose(4) == 0 {
            world.disk.faults.fail(FAILURES[choose(FAILURES.len())], 1);
        }
        match choose(8) {
            0 => drop(world.make_spare()),
            1 => world.settle(|sequence| sequence % 3 != step as u64 % 3),
            2 => drop(world.checkpoint()),
            3 => {
                // Segments are removed, or become the next one.
                world.settle(|_| true);
                world.checkpoint();
            }
            _ => {
                let sizes = vec![choose(300), choose(9_000)];
                let _ = world.append(&[sizes, vec![10]]);
                world.make_spare();
            }
        }
        world.check_counts();
        note(&world, &mut moments);
    }
    drop(world);
    Run {
        known: before.map(Clone::clone),
        moments,
        recording: disk.trace.end(),
    }
}

impl Run {
    /// Cuts the power behind each change, and calls `then` with what is left, and what is known
    /// before and after.
    fn cut_everywhere(&self, seeds: u64, then: impl Fn(&Path, [&Oracle; 2], u64)) {
        for changes in 0..=self.recording.changes.len() {
            for seed in 0..seeds {
                let folder = new_folder();
                let cut = self
                    .recording
                    .cut_power(changes, choices(seed), folder.path());
                cut.expect("a folder that can be written");
                then(folder.path(), self.known_at(changes), seed);
            }
        }
    }

    /// Returns what is known when the disk has had so many changes: the state before the call that
    /// was under way, and the one behind it.
    fn known_at(&self, changes: usize) -> [&Oracle; 2] {
        let behind = self
            .moments
            .partition_point(|moment| moment.changes <= changes);
        match (behind.checked_sub(1), self.moments.get(behind)) {
            (None, _) => [&self.known[0], &self.known[1]],
            (Some(before), after) => {
                let before = &self.moments[before];
                [&before.oracle, &after.unwrap_or(before).oracle]
            }
        }
    }
}

/// Returns the numbers of the runs of a test.
fn seeds() -> std::ops::Range<u64> {
    let runs = std::env::var("POWER_CUT_RUNS");
    0..runs.map_or(RUNS, |runs| runs.parse().expect("a number of runs"))
}

/// Opens what a power cut has left, reads all of it, and checks it.
fn check(folder: &Path, known: [&Oracle; 2]) {
    let config = config(folder, SEGMENTS);
    let opened = World::open(Arc::default(), config, known[0], known[1]);
    opened.expect("a state that a power cut leaves can be opened");
}

fn cut_twice(fails: bool) {
    let nothing = Oracle::default();
    for seed in seeds() {
        let folder = new_folder();
        let first = run(folder.path(), [&nothing, &nothing], seed, 24, fails);
        first.cut_everywhere(4, |folder, known, cut| {
            let again = run(folder, known, 100 + cut, 2, false);
            if cut == 1 {
                again.cut_everywhere(2, |folder, known, _| check(folder, known));
            }
        });
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut_at_any_change_nor_by_another_in_the_recovery() {
    cut_twice(false);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut_after_the_disk_has_failed() {
    cut_twice(true);
}

/// The last change of a process that was killed before it could sync it.
struct Unsynced {
    change: Change,
    /// The file that was written, and its bytes before.
    written: Option<(PathBuf, Vec<u8>)>,
}

impl Run {
    /// Kills the process behind each change that is not durable before a later one, and calls `then`
    /// with the folder that the next process finds.
    fn kill_everywhere(&self, then: impl Fn(&Path, [&Oracle; 2], &Unsynced)) {
        let mut names: BTreeMap<PathBuf, FileId> = BTreeMap::new();
        for (index, change) in self.recording.changes.iter().enumerate() {
            let written = match change {
                Change::Create { path, file } => {
                    names.insert(path.clone(), *file);
                    continue;
                }
                Change::Rename { from, to } => {
                    let file = names.remove(from).expect("a file that was created");
                    names.insert(to.clone(), file);
                    None
                }
                Change::Write { file, .. } => {
                    let path = names.iter().find(|(_, other)| *other == file);
                    let path = path.map(|(path, _)| path).expect("a file with a name");
                    let before = new_folder();
                    self.leave(index, before.path());
                    let bytes = fs::read(before.path().join(path)).expect("a file");
                    Some((path.clone(), bytes))
                }
                _ => continue,
            };
            let folder = new_folder();
            self.leave(index + 1, folder.path());
            let unsynced = Unsynced {
                change: change.clone(),
                written,
            };
            then(folder.path(), self.known_at(index + 1), &unsynced);
        }
    }

    /// Builds the state that a process leaves which is killed behind so many changes.
    fn leave(&self, changes: usize, folder: &Path) {
        let left = self
            .recording
            .cut_power(changes, |options| options - 1, folder);
        left.expect("a folder that can be written");
    }

    /// Has the first change be one that the process before it had not synced.
    fn begin_with(&mut self, unsynced: &Unsynced) {
        let found = &mut self.recording.found;
        let mut change = unsynced.change.clone();
        match &mut change {
            Change::Write { file, .. } => {
                let (path, before) = unsynced.written.as_ref().expect("a file");
                for one in found {
                    if let Found::File {
                        path: other,
                        file: id,
                        bytes,
                    } = one
                        && other == path
                    {
                        bytes.clone_from(before);
                        *file = *id;
                    }
                }
            }
            Change::Rename { from, to } => {
                for one in found {
                    if let Found::File { path, .. } = one
                        && path == to
                    {
                        path.clone_from(from);
                    }
                }
            }
            other => panic!("{other:?}"),
        }
        self.recording.changes.insert(0, change);
        for moment in &mut self.moments {
            moment.changes += 1;
        }
    }
}

#[test]
fn what_a_killed_process_had_not_synced_is_synced_before_anything_builds_on_it() {
    let nothing = Oracle::default();
    for seed in seeds() {
        let folder = new_folder();
        let first = run(folder.path(), [&nothing, &nothing], seed, 24, false);
        first.kill_everywhere(|folder, known, unsynced| {
            let mut again = run(folder, known, 200 + seed, 3, false);
            again.begin_with(unsynced);
            again.cut_everywhere(3, |folder, known, _| check(folder, known));
        });
    }
}
