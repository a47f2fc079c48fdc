//! A real Kafka that is away, and a gateway that is killed meanwhile.

use std::time::Instant;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{OpenLoop, read_kafka, test_ids};
use rustix::process::Signal;

use super::*;
use crate::backends::kafka::faults::spare;
use crate::backends::weather::undisturbed;

/// Publishes records of some keys, and returns their ids in order.
pub(super) fn publish(gateway: &Gateway, first: usize, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in first..first + count {
        for key in ["a", "b", "c"] {
            let answer = gateway.publish(EVENTS, record(key, number)).expect(200);
            assert_eq!(answer.header("iem-durability"), Some("journaled"));
            ids.push(format!("{key}-{number:06}"));
        }
    }
    ids
}

/// Fails the test unless all ids are there, and those of one key in order, each once.
#[track_caller]
pub(super) fn all_in_order(kafka: &Kafka, topic: &str, ids: &[String]) {
    let arrived = test_ids(&read_kafka(kafka, topic));
    for key in ["a", "b", "c"] {
        let of_key = |ids: &[String]| -> Vec<String> {
            let of_key = ids.iter().filter(|id| id.starts_with(key));
            of_key.cloned().collect()
        };
        assert_eq!(of_key(&arrived), of_key(ids));
    }
}

#[test]
fn records_are_taken_while_kafka_is_away_and_forwarded_in_order_by_a_successor() {
    let (kafka, _turn) = spare();
    kafka.create_topic("journaled", 3, 1, &[]);
    let home = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "journaled"));
    let began = Instant::now();
    let mut gateway = home.spawn();
    let with_kafka = began.elapsed();
    let books = gateway.watch_books();
    let mut ids = publish(&gateway, 0, 5);
    await_no_backlog(&gateway);
    kafka.kill(0);
    ids.extend(publish(&gateway, 5, 50));
    assert!(backlog(&gateway) > 100.0);
    drop(books);
    gateway.kill();

    // Its successor starts without Kafka, for which it does not wait, has another number of workers,
    // and goes on.
    let began = Instant::now();
    let mut gateway = home.clone().set("topics.events.workers", 3).spawn();
    let _books = gateway.watch_books();
    let took = began.elapsed();
    assert!(took < with_kafka + Duration::from_secs(4), "{took:?}");
    assert!(backlog(&gateway) > 100.0);
    ids.extend(publish(&gateway, 55, 5));
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.log());
    assert!(gateway.log().contains("backlog=165"), "{}", gateway.log());
    let gateway = home.spawn();
    kafka.restart(0);
    await_no_backlog(&gateway);
    all_in_order(kafka, "journaled", &ids);
}

/// Open loops at a constant rate: Kafka's outage costs nobody an answer, neither here nor at a topic
/// beside it that has no journal.
#[test]
fn nobody_notices_that_kafka_hangs_and_the_backlog_is_forwarded() {
    let (kafka, _turn) = spare();
    kafka.create_topic("unnoticed", 2, 1, &[]);
    let gateway = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "unnoticed"))
        .set("topics.events.deadline", "3s")
        // The disk is busy with other tests.
        .set("sink.file.sync", false)
        .start();
    let _books = gateway.watch_books();
    let token = gateway.token("alice");
    let keys: Vec<String> = (0..50).map(|number| format!("key-{number}")).collect();
    let events = OpenLoop::start(gateway.address, &token, "event", 300, &keys);
    let beside = OpenLoop::start_at(gateway.address, METRICS, &token, "metric", 100, &keys);
    std::thread::sleep(Duration::from_secs(2));
    let began = Instant::now();
    kafka.pause(0);
    std::thread::sleep(Duration::from_secs(9));
    assert!(backlog(&gateway) > 1_000.0);
    kafka.resume(0);
    // Some records are always on their way while others come.
    eventually(AMPLE, "the backlog is forwarded", || {
        backlog(&gateway) < 100.0
    });
    let beside = beside.stop();
    undisturbed(&beside, began, Instant::now());
    all_accepted(&beside);
    let calls = events.stop();
    await_no_backlog(&gateway);
    eprintln!("p99 {:?} of {} calls", calls.slow(), calls.0.len());
    all_accepted(&calls);
    let arrived = read_kafka(kafka, "unnoticed");
    calls.all_there(&test_ids(&arrived));
    calls.in_order(&arrived);
}
