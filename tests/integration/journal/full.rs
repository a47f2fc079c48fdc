//! An outage that fills the journal, and its end.

use std::thread::{scope, sleep};
use std::time::Instant;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{Load, OpenLoop, read_kafka, test_ids};
use serde_json::Value;

use super::*;
use crate::backends::kafka::faults::spare;
use crate::backends::weather::undisturbed;
use crate::delivery::full_disk::with_small_budgets;
use crate::prove::{as_alice, count, prove, url};

/// The least that may be set, four segments. One is kept for the time after a failure of the disk.
const LIMIT: &str = "256 MiB";
const TAKEN: f64 = 180e6;
/// The backlog with which memory is compared later.
const EARLY: f64 = 60e6;

fn journal_bytes(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_journal_bytes", &["events"])
}

/// Returns a record as large as those of the load.
fn large(bytes: usize) -> String {
    let padding = "x".repeat(bytes);
    format!(r#"{{"envcustomerid":"acme","splitby":"probe","test_id":"probe-0","a":"{padding}"}}"#)
}

fn ceiling(home: &Home) -> u64 {
    let report = home.run(&["check", "--json"]);
    let report: Value = serde_json::from_slice(&report.stdout).expect("check's JSON");
    count(&report, "/memory/bytes")
}

/// Returns a home with the smallest journal, and little memory for what is on its way.
fn small(home: Home) -> Home {
    journaled(home)
        .set("journal.bytes", LIMIT)
        .set("journal.window_records", 1_000)
        .set("journal.window_bytes", "4 MiB")
        // The disk is busy with the journal, and with other tests.
        .set("sink.file.sync", false)
}

/// Has Kafka hang under a load of records of so many bytes until the journal is full, and for some
/// seconds more. Then records are taken again. Another topic does not notice.
fn outage(kafka: &Kafka, gateway: &mut Gateway, bytes: usize, patience: Duration) {
    let keys = ["a".to_owned(), "b".to_owned()];
    let token = gateway.token("alice");
    let beside = OpenLoop::start_at(gateway.address, METRICS, &token, "metric", 50, &keys);
    eventually(AMPLE, "the load has begun", || forwarded(gateway) > 0.0);
    sleep(Duration::from_secs(1));
    let began = Instant::now();
    kafka.pause(0);
    eventually(patience, "a backlog", || journal_bytes(gateway) > EARLY);
    let early = gateway.peak_memory();
    let record = large(bytes);
    eventually(patience, "it is full", || {
        gateway.publish(EVENTS, record.clone()).status == 503
    });
    let answer = gateway.publish(EVENTS, record.clone());
    answer.expect(503).says_when_to_retry();
    let full = gateway.peak_memory();
    let filled = began.elapsed();
    let held = journal_bytes(gateway);
    assert!(held > TAKEN, "{held} bytes");
    sleep(Duration::from_secs(2));
    let limit = gateway.metric("iem_gateway_journal_limit_bytes", &["events"]);
    assert!(journal_bytes(gateway) <= limit);
    kafka.resume(0);
    let ended = Instant::now();
    eventually(AMPLE, "records are taken again", || {
        gateway.publish(EVENTS, record.clone()).status == 200
    });
    eprintln!(
        "full after {filled:?}; records are taken {:?} after its end",
        ended.elapsed()
    );
    let beside = beside.stop();
    undisturbed(&beside, began, ended);
    all_accepted(&beside);
    let growth = full.saturating_sub(early);
    eprintln!("{early} bytes of memory at a third of the backlog, {full} when it was full");
    assert!(
        growth < 40_000_000,
        "{growth} bytes more for a backlog of 120 MB more"
    );
}

/// Waits until the backlog is forwarded. Memory has stayed below the ceiling.
fn drained(gateway: &mut Gateway) {
    await_no_backlog(gateway);
    let (peak, ceiling) = (gateway.peak_memory(), ceiling(&gateway.home));
    eprintln!("{peak} bytes of memory at most; the ceiling is {ceiling}");
    assert!(peak < ceiling, "{peak} bytes, above {ceiling}");
}

#[test]
fn an_outage_fills_the_journal_which_then_drains_in_bounded_memory() {
    let (kafka, _turn) = spare();
    kafka.create_topic("filled", 3, 1, &[]);
    let home = small(with_small_budgets().events_at_kafka(&kafka.bootstrap(), "filled"));
    let mut gateway = home.spawn();
    let _books = gateway.watch_books();
    let (token, bytes) = (gateway.token("alice"), 300_000);
    let load = Load::start(gateway.address, &token, "load", 6, bytes);
    outage(kafka, &mut gateway, bytes, AMPLE);
    let ledger = load.stop();
    drained(&mut gateway);
    eprintln!("answers: {:?}", ledger.answers);
    assert!(ledger.answers.contains_key(&503), "{:?}", ledger.answers);
    assert_eq!(ledger.unanswered, 0, "full is an answer");
    let ids = test_ids(&read_kafka(kafka, "filled"));
    ledger.all_there(&ids);
    ledger.in_order(&ids);
}

/// At a constant rate, whatever is answered. What a record takes beside its bytes shows with many
/// small ones.
#[test]
#[ignore = "takes minutes: scripts/journal outage"]
fn an_outage_at_a_constant_rate_of_small_records_fills_the_journal_which_then_drains() {
    let (kafka, _turn) = spare();
    kafka.create_topic("filled-slowly", 3, 1, &[]);
    let home = with_small_budgets().set("topics.events.queue_records", 4_096);
    let home = small(home.events_at_kafka(&kafka.bootstrap(), "filled-slowly"));
    let mut gateway = home.spawn();
    let _books = gateway.watch_books();
    let url = url(gateway.address);
    let load = ["--rate", "200", "--records", "20", "--duration", "300s"];
    let load = as_alice(&home, &url, &load);
    let report = scope(|scope| {
        let proof = scope.spawn(|| prove(&home, &load, 0));
        outage(kafka, &mut gateway, 5_000, Duration::from_mins(5));
        proof.join().expect("a report")
    });
    drained(&mut gateway);
    eprintln!("{report:#}");
    assert!(count(&report, "/load/requests/answers/503/requests") > 0);
    assert_eq!(count(&report, "/records/lost"), 0);
    assert_eq!(count(&report, "/records/out_of_order"), 0);
}
