//! Writers under load as the pipeline drives them, and the oracle: delivered records are in the
//! topic, and in order, whichever copy of a record counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record};
use iem_sink::{Outcome, Record, SinkErrorKind};
use iem_sink_kafka::KafkaSink;
use iem_test_support::brokers::kafka::Kafka;

const BATCH: usize = 20;
const KEYS: usize = 3;

/// The time that a call may take past its deadline: a busy machine wakes a thread late.
const SLACK: Duration = Duration::from_secs(2);

/// The outcomes of one worker's records.
#[derive(Debug, Default)]
pub struct Run {
    /// The delivered records, in the order in which they were sent first.
    pub delivered: Vec<Record>,
    /// Records given up at their deadline, or after a permanent error.
    pub lost: usize,
    /// Records given up after a permanent error.
    pub permanent: usize,
}

/// The records of a load.
#[derive(Clone, Copy)]
pub struct Load {
    pub deadline: Duration,
    /// The size of each record's data beside its number.
    pub padding: usize,
}

/// Runs several writers of one topic, each with its own keys, while `meanwhile` disturbs the
/// broker. Then checks that service is back, and the content of the topic.
pub fn survive(
    kafka: &Kafka,
    sink: &KafkaSink,
    topic: &str,
    deadline: Duration,
    meanwhile: impl FnOnce(),
) -> Vec<Run> {
    let load = Load {
        deadline,
        padding: 0,
    };
    survive_with(kafka, sink, topic, load, meanwhile)
}

/// Does as [`survive`], with other records.
pub fn survive_with(
    kafka: &Kafka,
    sink: &KafkaSink,
    topic: &str,
    load: Load,
    meanwhile: impl FnOnce(),
) -> Vec<Run> {
    let stop = AtomicBool::new(false);
    let mut config = iem_sink::testing::topic(topic);
    config.workers = 3;
    config.deadline = load.deadline;
    let runs = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..config.workers)
            .map(|worker| {
                let mut writer = BlockingWriter::open(sink, &config).unwrap();
                let stop = &stop;
                scope.spawn(move || drive(&mut writer, worker, load, stop))
            })
            .collect();
        meanwhile();
        stop.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    expect(kafka, topic, &runs);
    runs
}

/// Writes batches until it is told to stop, and then until one is delivered whole: service is back.
fn drive(writer: &mut BlockingWriter, worker: usize, load: Load, stop: &AtomicBool) -> Run {
    let mut run = Run::default();
    let mut number = 0;
    let mut back_by = None;
    let padding = "x".repeat(load.padding);
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let batch: Vec<Record> = (0..BATCH)
            .map(|_| {
                number += 1;
                record(
                    &format!("1001/{worker}-{}", number % KEYS),
                    format!(r#"{{"n":{number},"x":"{padding}"}}"#),
                )
            })
            .collect();
        let whole = write_until_due(writer, &batch, load.deadline, &mut run);
        if stopping {
            let end = *back_by.get_or_insert_with(|| Instant::now() + Duration::from_secs(30));
            assert!(whole || Instant::now() < end, "service does not return");
            if whole {
                return run;
            }
        }
    }
}

/// Writes retryable records again, before any new one, until their deadline, as the pipeline does.
/// A record whose key has had a later record delivered is given up.
fn write_until_due(
    writer: &mut BlockingWriter,
    batch: &[Record],
    deadline: Duration,
    run: &mut Run,
) -> bool {
    let due = Instant::now() + deadline;
    let mut delivered: Vec<Record> = Vec::new();
    let mut left = batch.to_owned();
    while !left.is_empty() && Instant::now() < due {
        let mut outcomes = vec![Outcome::default(); left.len()];
        let result = writer.write(&left, &mut outcomes, due);
        assert!(
            Instant::now() < due + SLACK,
            "a call returns by its deadline: {result:?}"
        );
        assert_eq!(
            result.is_err(),
            outcomes.contains(&Outcome::Retryable),
            "{result:?}"
        );
        let marked = left.iter().zip(&outcomes);
        delivered.extend(
            marked
                .filter(|(_, o)| **o == Outcome::Delivered)
                .map(|(r, _)| r.clone()),
        );
        let mut overtaken = HashSet::new();
        let mut again = Vec::new();
        for (record, outcome) in left.iter().zip(&outcomes).rev() {
            if *outcome == Outcome::Delivered {
                overtaken.insert(&*record.key);
            } else if overtaken.contains(&*record.key) {
                run.lost += 1;
            } else if *outcome == Outcome::Retryable {
                again.push(record.clone());
            }
        }
        again.reverse();
        left = again;
        if result.is_err_and(|error| error.kind == SinkErrorKind::Permanent) {
            run.permanent += left.len();
            break;
        }
        if !left.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    run.lost += left.len();
    delivered.sort_by_key(|record| record.id);
    run.delivered.extend(delivered);
    std::thread::sleep(Duration::from_millis(5));
    left.is_empty()
}

/// Asserts that every delivered record is in the topic, and that both the first and the last
/// appearances of each key's records are in the order of sending.
fn expect(kafka: &Kafka, topic: &str, runs: &[Run]) {
    let mut first: HashMap<String, (i32, i64)> = HashMap::new();
    let mut last: HashMap<String, (i32, i64)> = HashMap::new();
    for message in kafka.read_all(topic) {
        let id = message.header("ce_id").unwrap().to_owned();
        let position = (message.partition, message.offset);
        first.entry(id.clone()).or_insert(position);
        last.insert(id, position);
    }
    let delivered: Vec<&Record> = runs.iter().flat_map(|run| &run.delivered).collect();
    expect_order(&delivered, &first);
    expect_order(&delivered, &last);
}

fn expect_order(delivered: &[&Record], positions: &HashMap<String, (i32, i64)>) {
    let mut before: BTreeMap<&str, (i32, i64)> = BTreeMap::new();
    for record in delivered {
        let position = *positions
            .get(&record.id.to_string())
            .expect("a delivered record is in the topic");
        if let Some((partition, offset)) = before.insert(&record.key, position) {
            assert_eq!(partition, position.0, "one key, one partition");
            assert!(
                offset < position.1,
                "records of {} are out of order",
                record.key
            );
        }
    }
}

/// Returns how many records were delivered, and how many were not.
pub fn tally(runs: &[Run]) -> (usize, usize) {
    (
        runs.iter().map(|run| run.delivered.len()).sum(),
        runs.iter().map(|run| run.lost).sum(),
    )
}
