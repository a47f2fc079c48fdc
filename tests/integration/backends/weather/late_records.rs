//! A broker hangs for two deadlines, under a topic with small batches. What librdkafka holds is
//! bounded, and so is the time after which a record that was answered 503 may still be stored.

use std::collections::HashSet;

use iem_test_support::{OpenLoop, read_kafka, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

const DEADLINE: Duration = Duration::from_secs(4);
/// So that a record which is handed over at its deadline is still alive at the broker's return,
/// and one that is handed over at half of it, as a worker does at the latest, is not.
const AWAY: Duration = Duration::from_millis(7_500);
/// The time after its 503 in which a record may be stored: the longest deadline, less half of its
/// own, and about a second.
const LATE: Duration = Duration::from_secs(3);
/// Four batches of ten records, the window of one worker.
const WINDOW: f64 = 40.0;

#[test]
fn a_broker_that_hangs_fills_one_window_and_stores_nothing_much_later() {
    let (kafka, _turn) = spare();
    kafka.create_topic("late", 1, 1, &[]);
    let gateway = Home::new()
        .events_at_kafka(&kafka.bootstrap(), "late")
        .set("topics.events.deadline", "4s")
        .set("topics.events.batch_records", 10)
        .start();
    let _books = gateway.watch_books();
    let token = gateway.token("alice");
    let load = OpenLoop::start(gateway.address, &token, "event", 100, &keys(50));
    let buffered = || gateway.metric("iem_gateway_kafka_buffered_records", &[]);
    sleep(WATCH);
    let began = Instant::now();
    kafka.pause(0);
    let mut most = 0.0_f64;
    while began.elapsed() < AWAY {
        most = most.max(buffered());
        sleep(Duration::from_millis(50));
    }
    let back = Instant::now();
    kafka.resume(0);
    sleep(RECOVERY + WATCH);
    let calls = load.stop();

    eprintln!("librdkafka held up to {most} records");
    assert!((1.0..=WINDOW).contains(&most), "{most} records");
    calls.answered_within(DEADLINE);
    recovered(&calls, back);
    let arrived = read_kafka(kafka, "late");
    let ids = test_ids(&arrived);
    calls.all_there(&ids);
    calls.in_order(&arrived);
    // The broker hung with the first ones in its hands, which nobody can take back.
    let calls = calls.between(began + Duration::from_secs(2), back);
    let given_up = calls.with(|call| call.status == 503 && call.due + call.wait + LATE < back);
    assert!(!given_up.0.is_empty(), "no record was given up so early");
    let stored: HashSet<&String> = ids.iter().collect();
    let ghosts = given_up.with(|call| stored.contains(&call.id));
    assert!(ghosts.0.is_empty(), "stored too late: {ghosts:?}");
    holds_nothing(&gateway);
}
