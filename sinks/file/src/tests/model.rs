//! Random sequences of batches, faults, rotations, compressions, crashes and restarts, against a
//! model of what a reader must find.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::chain::Chain;
use crate::disk::Operation;
use crate::keeper::{Keeper, Note};
use crate::line::Lines;
use crate::root::Root;
use crate::topic::Topic;

const WORKERS: usize = 2;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A worker writes what is left of its last batch, and so many new records.
    Write {
        worker: usize,
        records: usize,
    },
    /// The next attempts of this operation fail.
    Fail(Operation, usize),
    Heal,
    /// So much time passes, and the background thread does so many rounds.
    Pass {
        seconds: u64,
        rounds: usize,
    },
    /// The clock is set back by so many seconds.
    SetBack(u64),
    /// The process ends in good order and starts again.
    Restart,
    /// The process ends while a worker writes a batch of which only a part reached the file. Then
    /// it starts again.
    Crash {
        worker: usize,
        records: usize,
        tear: Tear,
    },
}

/// What a file system has of a write when the machine stops: a part of its length, and of that a
/// part of its data, either the beginning or the end. In 1/255.
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
        8 => (worker.clone(), 1..4usize).prop_map(|(worker, records)| Event::Write { worker, records }),
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

/// What runs between a start and an end of the process.
struct Process {
    root: Arc<Root>,
    topic: Arc<Topic>,
    chains: Vec<Arc<Mutex<Chain>>>,
    keeper: Keeper,
    notes: Receiver<Note>,
}

impl Process {
    fn start(config: &FileConfig) -> Self {
        let (sender, notes): (Sender<Note>, _) = channel();
        let root = Arc::new(Root::open(config.clone()).unwrap());
        let topic = Arc::new(Topic::open(root.clone(), TOPIC, sender).unwrap());
        let chain = |_| Arc::new(Mutex::new(Chain::new(topic.clone())));
        let chains: Vec<_> = (0..WORKERS).map(chain).collect();
        let mut keeper = Keeper::new(root.clone());
        for chain in &chains {
            keeper.take(Note::Watch(Arc::downgrade(chain)));
        }
        Self {
            root,
            topic,
            chains,
            keeper,
            notes,
        }
    }

    fn rounds(&mut self, now: Instant, rounds: usize) {
        for _ in 0..rounds {
            for note in self.notes.try_iter() {
                self.keeper.take(note);
            }
            self.keeper.round(now);
        }
    }

    fn is_damaged(&self) -> bool {
        self.chains
            .iter()
            .any(|chain| chain.lock().unwrap().is_damaged())
    }
}

/// What a worker has done, as its caller knows it.
#[derive(Default)]
struct Worker {
    delivered: Vec<String>,
    /// The last batch, while it is not delivered.
    left: Vec<Record>,
}

struct World {
    config: FileConfig,
    process: Option<Process>,
    workers: [Worker; WORKERS],
    /// Never delivered, but perhaps whole in a file when the process crashed.
    perhaps: BTreeSet<String>,
    now: Instant,
    clock: SystemTime,
    /// Of all files that were seen so far.
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
            perhaps: BTreeSet::new(),
            now: Instant::now(),
            clock: SystemTime::now(),
            stems: BTreeSet::new(),
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    fn take(&mut self, event: &Event) {
        match *event {
            Event::Write { worker, records } => self.write(worker, records),
            Event::Fail(operation, times) => self.process().root.disk.faults.fail(operation, times),
            Event::Heal => self.process().root.disk.faults.heal(),
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
        // Until a failed batch is off its file, a reader may see a part of it.
        if !self.process().is_damaged() {
            self.expect_rising_names();
            self.expect_records();
        }
    }

    fn batch(&mut self, worker: usize, records: usize) -> Vec<Record> {
        let mut batch = std::mem::take(&mut self.workers[worker].left);
        for _ in 0..records {
            let mut one = record(&format!("1001/{worker}"), "{\n\"text\": \"é\\u0000\"\n}");
            let context = iem_sink::Context {
                time: self.clock,
                ..iem_sink::Context::clone(&one.context)
            };
            one.context = Arc::new(context);
            batch.push(one);
        }
        batch
    }

    fn write(&mut self, worker: usize, records: usize) {
        let batch = self.batch(worker, records);
        let chain = self.process().chains[worker].clone();
        let result = chain
            .lock()
            .unwrap()
            .append(&lines(&batch), batch[0].context.time, self.now);
        match result {
            Ok(()) => self.workers[worker].delivered.extend(ids(&batch)),
            Err(_) => self.workers[worker].left = batch,
        }
    }

    /// Damage that cannot be put right at the end stays in the files like after a crash.
    fn restart(&mut self) {
        self.give_up_what_is_left();
        self.process = None;
        self.process = Some(Process::start(&self.config));
    }

    fn crash(&mut self, worker: usize, records: usize, tear: Tear) {
        let batch = self.batch(worker, records);
        let (now, first) = (self.now, batch[0].context.time);
        let mut process = self.process.take().unwrap();
        let chain = process.chains[worker].lock().unwrap();
        // A damaged chain takes no batch: then the crash meets no write.
        if !chain.is_damaged() {
            let path = chain.open_path().map_or_else(
                || {
                    process
                        .topic
                        .create_segment(first, now)
                        .map(|segment| segment.path().to_owned())
                },
                |path| Ok(path.to_owned()),
            );
            if let Ok(path) = path {
                let torn = tear.of(lines(&batch));
                fs::File::options()
                    .append(true)
                    .open(path)
                    .unwrap()
                    .write_all(&torn)
                    .unwrap();
            }
        }
        drop(chain);
        self.workers[worker].left = batch;
        self.give_up_what_is_left();
        for chain in process.chains.drain(..) {
            Arc::into_inner(chain)
                .unwrap()
                .into_inner()
                .unwrap()
                .crash();
        }
        drop(process);
        self.process = Some(Process::start(&self.config));
    }

    fn give_up_what_is_left(&mut self) {
        for worker in &mut self.workers {
            self.perhaps.extend(ids(&std::mem::take(&mut worker.left)));
        }
    }

    /// A name that was not there before is above all that were.
    fn expect_rising_names(&mut self) {
        let stem = |name: String| name.split(".ndjson").next().unwrap().to_owned();
        let stems: BTreeSet<String> = file_names(&self.config.path)
            .into_iter()
            .map(stem)
            .collect();
        let new: BTreeSet<String> = stems.difference(&self.stems).cloned().collect();
        assert!(
            new.is_empty() || self.stems.last() < new.first(),
            "{new:?} after {:?}",
            self.stems.last()
        );
        self.stems.extend(new);
    }

    /// Every delivered record is there once, in its worker's order, and no other one unless a crash
    /// left it.
    fn expect_records(&self) {
        let found = read_ids(&self.config.path);
        let distinct: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "no record is there twice");
        for worker in &self.workers {
            let own: Vec<_> = found
                .iter()
                .filter(|id| worker.delivered.contains(id))
                .cloned()
                .collect();
            assert_eq!(
                own, worker.delivered,
                "what is delivered is there, in order"
            );
        }
        let known = |id: &String| {
            self.workers
                .iter()
                .any(|worker| worker.delivered.contains(id))
        };
        let others: Vec<_> = found
            .iter()
            .filter(|id| !known(id) && !self.perhaps.contains(*id))
            .collect();
        assert_eq!(
            others,
            Vec::<&String>::new(),
            "what is not delivered is not there"
        );
    }

    /// Once nothing fails any more, all is put right and compressed.
    fn settle(&mut self) {
        self.take(&Event::Heal);
        self.take(&Event::Pass {
            seconds: 60,
            rounds: 100,
        });
        assert!(!self.process().is_damaged());
        self.take(&Event::Pass {
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
    fn of(self, mut lines: Vec<u8>) -> Vec<u8> {
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
            world.take(event);
        }
        world.settle();
    }
}
