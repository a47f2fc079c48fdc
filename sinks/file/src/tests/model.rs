//! Random sequences of batches, faults, rotations, compressions, crashes and restarts, compared
//! with a model of what a reader must find.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use iem_disk::Operation;
use iem_sink::testing::record;
use iem_sink::{Context, Record};
use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;

use super::fixture::{TOPIC, config, file_names, ids, read_ids};
use crate::config::{Compression, FileConfig};
use crate::data_directory::DataDirectory;
use crate::line::Lines;
use crate::maintenance::Maintenance;
use crate::rolling_file::RollingFile;
use crate::task::Task;
use crate::topic::Topic;

const WORKERS: usize = 2;

/// One step of a sequence.
#[derive(Clone, Debug)]
enum Event {
    /// A worker writes its undelivered batch, if there is one, and this many new records.
    Write { worker: usize, records: usize },
    /// The next attempts of this operation fail.
    Fail(Operation, usize),
    /// No operation fails any more.
    Heal,
    /// This much time passes, and maintenance does this many rounds.
    Pass { seconds: u64, rounds: usize },
    /// The clock is set back by this many seconds.
    SetBack(u64),
    /// The process shuts down and starts again.
    Restart,
    /// The process crashes while a worker writes a batch, of which only a part reaches the file.
    /// Then it starts again.
    Crash {
        worker: usize,
        records: usize,
        tear: Tear,
    },
}

/// The part of a write that is on the disk after a crash of the machine: a part of its length, and
/// within that a part of its data, either the beginning or the end. Both are counted in 1/255.
#[derive(Clone, Copy, Debug)]
struct Tear {
    length: u8,
    data: u8,
    end: bool,
}

fn event() -> impl Strategy<Value = Event> {
    use Operation::{Create, Remove, Rename, SetLen, Sync, SyncFolder, Write};
    let operation = prop::sample::select(vec![
        Create, Write, Sync, SyncFolder, SetLen, Rename, Remove,
    ]);
    let worker = 0..WORKERS;
    prop_oneof![
        8 => (worker.clone(), 1..4usize).prop_map(|(worker, records)| {
            Event::Write { worker, records }
        }),
        4 => (operation, 1..4usize).prop_map(|(operation, times)| Event::Fail(operation, times)),
        1 => Just(Event::Heal),
        2 => (0..40u64, 0..12usize).prop_map(|(seconds, rounds)| Event::Pass { seconds, rounds }),
        1 => (0..100u64).prop_map(Event::SetBack),
        1 => Just(Event::Restart),
        2 => (worker, 1..4usize, tear()).prop_map(|(worker, records, tear)| {
            Event::Crash { worker, records, tear }
        }),
    ]
}

fn tear() -> impl Strategy<Value = Tear> {
    any::<(u8, u8, bool)>().prop_map(|(length, data, end)| Tear { length, data, end })
}

/// The state of a running process.
struct Process {
    directory: Arc<DataDirectory>,
    topic: Arc<Topic>,
    rolling_files: Vec<Arc<Mutex<RollingFile>>>,
    maintenance: Maintenance,
    tasks: Receiver<Task>,
}

impl Process {
    fn start(config: &FileConfig) -> Self {
        let directory = Arc::new(DataDirectory::open(config.clone()).unwrap());
        let (task_sender, tasks) = channel();
        let topic = Arc::new(Topic::open(directory.clone(), TOPIC, task_sender).unwrap());
        let (rolling_file_sender, new_rolling_files) = channel();
        let mut rolling_files = Vec::new();
        for _ in 0..WORKERS {
            let rolling_file = Arc::new(Mutex::new(RollingFile::new(topic.clone())));
            rolling_file_sender
                .send(Arc::downgrade(&rolling_file))
                .unwrap();
            rolling_files.push(rolling_file);
        }
        Self {
            maintenance: Maintenance::new(directory.clone(), new_rolling_files),
            directory,
            topic,
            rolling_files,
            tasks,
        }
    }

    fn rounds(&mut self, now: Instant, rounds: usize) {
        for _ in 0..rounds {
            for task in self.tasks.try_iter() {
                self.maintenance.accept(task);
            }
            self.maintenance.round(now);
        }
    }

    fn is_damaged(&self) -> bool {
        self.rolling_files
            .iter()
            .any(|rolling_file| rolling_file.lock().is_damaged())
    }

    /// Returns the file that the worker would write its next batch to. `None` if it could not write
    /// one, because its file is damaged or cannot be created.
    fn path_of_next_write(
        &self,
        worker: usize,
        first: SystemTime,
        now: Instant,
    ) -> Option<PathBuf> {
        let rolling_file = self.rolling_files[worker].lock();
        if rolling_file.is_damaged() {
            return None;
        }
        if let Some(path) = rolling_file.open_path() {
            return Some(path.to_owned());
        }
        let file = self.topic.create_file(first, now).ok()?;
        Some(file.path().to_owned())
    }

    fn crash(self) {
        for rolling_file in self.rolling_files {
            Arc::into_inner(rolling_file).unwrap().into_inner().crash();
        }
    }
}

/// A worker's records, by their outcome.
#[derive(Default)]
struct Worker {
    delivered: Vec<String>,
    /// The last batch, until it is delivered.
    undelivered: Vec<Record>,
}

/// The process, its environment, and the model of what a reader must find.
struct World {
    config: FileConfig,
    process: Option<Process>,
    workers: [Worker; WORKERS],
    /// The ids of records that were never delivered, but may be in a file since a crash.
    possible: BTreeSet<String>,
    now: Instant,
    clock: SystemTime,
    /// The stems of all files that were seen so far.
    stems: BTreeSet<String>,
}

impl World {
    fn new(folder: &TempDir) -> Self {
        let config = FileConfig {
            rotate_size: 1500,
            rotate_age: Duration::from_mins(1),
            compression: Compression::Zstd,
            ..config(folder)
        };
        Self {
            process: Some(Process::start(&config)),
            config,
            workers: Default::default(),
            possible: BTreeSet::new(),
            now: Instant::now(),
            clock: SystemTime::now(),
            stems: BTreeSet::new(),
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Write { worker, records } => self.write(worker, records),
            Event::Fail(operation, times) => {
                self.process().directory.disk.faults.fail(operation, times);
            }
            Event::Heal => self.process().directory.disk.faults.heal(),
            Event::Pass { seconds, rounds } => {
                self.now += Duration::from_secs(seconds);
                self.clock += Duration::from_secs(seconds);
                let now = self.now;
                self.process().rounds(now, rounds);
            }
            Event::SetBack(seconds) => self.clock -= Duration::from_secs(seconds),
            Event::Restart => self.restart(),
            Event::Crash {
                worker,
                records,
                tear,
            } => self.crash(worker, records, tear),
        }
        // Until a failed batch is removed from its file, a reader may see a part of it.
        if !self.process().is_damaged() {
            self.expect_increasing_names();
            self.expect_records();
        }
    }

    fn batch(&mut self, worker: usize, records: usize) -> Vec<Record> {
        let mut batch = std::mem::take(&mut self.workers[worker].undelivered);
        for _ in 0..records {
            let mut one = record(&format!("1001/{worker}"), "{\n\"text\": \"é\\u0000\"\n}");
            one.context = Arc::new(Context {
                time: self.clock,
                ..Context::clone(&one.context)
            });
            batch.push(one);
        }
        batch
    }

    fn write(&mut self, worker: usize, records: usize) {
        let batch = self.batch(worker, records);
        let rolling_file = self.process().rolling_files[worker].clone();
        let result = rolling_file
            .lock()
            .append(&lines(&batch), batch[0].context.time, self.now);
        match result {
            Ok(()) => self.workers[worker].delivered.extend(ids(&batch)),
            Err(_) => self.workers[worker].undelivered = batch,
        }
    }

    /// Restarts the process. A failed batch that cannot be removed stays in its file, as after a
    /// crash.
    fn restart(&mut self) {
        self.give_up_undelivered();
        self.process = None;
        self.process = Some(Process::start(&self.config));
    }

    fn crash(&mut self, worker: usize, records: usize, tear: Tear) {
        let batch = self.batch(worker, records);
        let process = self.process.take().unwrap();
        if let Some(path) = process.path_of_next_write(worker, batch[0].context.time, self.now) {
            fs::File::options()
                .append(true)
                .open(path)
                .unwrap()
                .write_all(&tear.apply(lines(&batch)))
                .unwrap();
        }
        self.workers[worker].undelivered = batch;
        self.give_up_undelivered();
        process.crash();
        self.process = Some(Process::start(&self.config));
    }

    fn give_up_undelivered(&mut self) {
        for worker in &mut self.workers {
            self.possible
                .extend(ids(&std::mem::take(&mut worker.undelivered)));
        }
    }

    /// Checks that every new name is greater than all earlier ones.
    fn expect_increasing_names(&mut self) {
        let stems: BTreeSet<String> = file_names(&self.config.path)
            .iter()
            .map(|name| name.split(".ndjson").next().unwrap().to_owned())
            .collect();
        let new: BTreeSet<String> = stems.difference(&self.stems).cloned().collect();
        assert!(
            new.is_empty() || self.stems.last() < new.first(),
            "{new:?} after {:?}",
            self.stems.last()
        );
        self.stems.extend(new);
    }

    /// Checks that a reader finds every delivered record once, in its worker's order, and no other
    /// record unless a crash left it.
    fn expect_records(&self) {
        let found = read_ids(&self.config.path);
        let distinct: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!(
            distinct.len(),
            found.len(),
            "a reader finds no record twice"
        );
        for worker in &self.workers {
            let own: Vec<_> = found
                .iter()
                .filter(|id| worker.delivered.contains(id))
                .cloned()
                .collect();
            assert_eq!(
                own, worker.delivered,
                "a reader finds all delivered records, in order"
            );
        }
        let others: Vec<_> = found
            .iter()
            .filter(|id| !self.is_delivered(id) && !self.possible.contains(*id))
            .collect();
        assert_eq!(
            others,
            Vec::<&String>::new(),
            "a reader finds no undelivered record"
        );
    }

    fn is_delivered(&self, id: &String) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.delivered.contains(id))
    }

    /// Checks that once no operation fails any more, all files are restored and compressed.
    fn settle(&mut self) {
        self.apply(&Event::Heal);
        self.apply(&Event::Pass {
            seconds: 60,
            rounds: 100,
        });
        assert!(!self.process().is_damaged());
        self.apply(&Event::Pass {
            seconds: 60,
            rounds: 100,
        });
        let names = file_names(&self.config.path);
        assert!(
            names.iter().all(|name| name.ends_with(".ndjson.zst")),
            "{names:?}"
        );
    }
}

fn lines(batch: &[Record]) -> Vec<u8> {
    Lines::from_records(batch).bytes().to_vec()
}

impl Tear {
    fn apply(self, mut lines: Vec<u8>) -> Vec<u8> {
        lines.truncate(lines.len() * usize::from(self.length) / 255);
        let written = lines.len() * usize::from(self.data) / 255;
        let lost = if self.end {
            0..lines.len() - written
        } else {
            written..lines.len()
        };
        lines[lost].fill(0);
        lines
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_finds_what_was_delivered(events in prop::collection::vec(event(), 1..40)) {
        let folder = TempDir::new().unwrap();
        let mut world = World::new(&folder);
        for event in &events {
            world.apply(event);
        }
        world.settle();
    }
}
