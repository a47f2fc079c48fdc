//! A topic of three partitions without replicas, on three brokers, one of which is lost. One worker
//! serves them all: the other partitions must not wait for the lost one.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use iem_sink::testing::record;
use iem_test_support::brokers::kafka::{Kafka, Options};
use iem_test_support::{OpenLoop, read_kafka, test_ids};

use super::*;

const PARTITIONS: usize = 3;
/// The partition that is lost.
const DEAD: usize = 0;
/// The records of one batch. The lost partition has more than the window of four.
const BATCH: usize = 40;

/// Three brokers, for a test at a time.
pub(crate) fn cluster() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static CLUSTER: OnceLock<Kafka> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let kafka = CLUSTER.get_or_init(|| {
        Kafka::start(&Options {
            brokers: 3,
            ..Options::default()
        })
    });
    // A test that failed may have left one stopped.
    (0..3).for_each(|broker| kafka.resume(broker));
    (kafka, turn)
}

/// Whether the records of an ordering value are for the partition that is lost.
pub(crate) fn is_dead(key: &str) -> bool {
    let record = record(&format!("acme/{key}"), "");
    record.key_hash() as usize % PARTITIONS == DEAD
}

/// Returns a request of ten batches for the partitions that live.
fn large_request() -> String {
    let live = (0..).map(|number| format!("batch-{number}"));
    let records: Vec<String> = live
        .filter(|key| !is_dead(key))
        .map(|key| format!(r#"{{"envcustomerid":"acme","splitby":"{key}","test_id":"{key}"}}"#))
        .take(10 * BATCH)
        .collect();
    format!("[{}]", records.join(","))
}

/// Loses a broker by `fault` for the time `away`, and gets it back by `mend`.
fn lose(
    topic: &str,
    deadline: Duration,
    away: Duration,
    fault: impl FnOnce(&Kafka, usize),
    mend: impl FnOnce(&Kafka, usize),
) {
    let (kafka, _turn) = cluster();
    kafka.create_topic(topic, 3, 1, &[]);
    let broker = kafka.leader(topic, 0);
    let gateway = Home::new()
        .events_at_kafka(&kafka.bootstrap(), topic)
        .set("topics.events.deadline", format!("{}s", deadline.as_secs()))
        .set(
            "topics.events.batch_records",
            i64::try_from(BATCH).expect("a number"),
        )
        .start();
    let _books = gateway.watch_books();
    let token = gateway.token("alice");
    let load = OpenLoop::start(gateway.address, &token, "event", 200, &keys(60));
    sleep(WATCH);
    let began = Instant::now();
    fault(kafka, broker);
    sleep(WATCH);
    let large = Instant::now();
    gateway.publish(EVENTS, large_request()).expect(200);
    eprintln!("a large request was answered after {:?}", large.elapsed());
    assert!(large.elapsed() < deadline / 2, "{:?}", large.elapsed());
    sleep(away.saturating_sub(began.elapsed()));
    let mending = Instant::now();
    mend(kafka, broker);
    let mended = Instant::now();
    sleep(RECOVERY + WATCH);
    let calls = load.stop();

    let (live, dead) = (
        calls.with(|call| !is_dead(&call.key)),
        calls.with(|call| is_dead(&call.key)),
    );
    let failed = dead.between(began, mending).with(|call| call.status == 503);
    assert!(!failed.0.is_empty(), "the partition was away");
    calls.answered_within(deadline);
    undisturbed(&live, began, mending);
    recovered(&live, mended);
    recovered(&dead, mended);
    let arrived = read_kafka(kafka, topic);
    calls.all_there(&test_ids(&arrived));
    calls.in_order(&arrived);
    holds_nothing(&gateway);
}

#[test]
fn a_broker_that_is_killed_holds_up_its_own_partition_only() {
    lose(
        "killed-partition",
        Duration::from_secs(6),
        Duration::from_secs(10),
        Kafka::kill,
        Kafka::restart,
    );
}

#[test]
fn a_broker_that_hangs_holds_up_its_own_partition_only() {
    lose(
        "hung-partition",
        Duration::from_secs(5),
        Duration::from_secs(8),
        Kafka::pause,
        Kafka::resume,
    );
}
