//! A gateway that is killed again and again under a constant load, while Kafka comes and goes.
//! `iem-gateway prove` judges: nothing acknowledged is lost or out of order, and what is there twice
//! stays within the bound of docs/journal.md.

use std::ops::Range;
use std::thread::{scope, sleep};
use std::time::Instant;

use iem_test_support::brokers::kafka::Kafka;
use rustix::process::Signal;

use super::*;
use crate::backends::kafka::faults::spare;
use crate::backends::weather::dead_partition::cluster;
use crate::prove::{as_alice, count, prove, url};

/// The time for which the gateway is killed. The variable `KILL_SECONDS` has another one.
const SECONDS: u64 = 8;
/// The least number of kills, also on a busy machine.
const KILLS: u32 = 4;
const WINDOW: u32 = 50;
/// Records that a backlog takes in a second, beside a tenth of that at once.
const DRAIN_RATE: u32 = 1_000;
/// The time before a kill in which settled records may be sent again.
const CURSOR_AGE: Duration = Duration::from_secs(1);
/// The same for records that pass those of a partition which is away.
const RANGES_AGE: Duration = Duration::from_secs(30);

fn random(millis: Range<u64>) -> Duration {
    Duration::from_millis(rand::random_range(millis))
}

/// Loses a broker at random times, and gets it back, until `end`.
fn come_and_go(kafka: &Kafka, brokers: usize, end: Instant) {
    while Instant::now() < end {
        sleep(random(500..3_000));
        let broker = rand::random_range(0..brokers);
        if rand::random() {
            kafka.pause(broker);
            sleep(random(200..3_000));
            kafka.resume(broker);
        } else {
            kafka.kill(broker);
            sleep(random(0..2_000));
            kafka.restart(broker);
        }
    }
}

/// Lets the gateway live for a random time, and kills it. Returns how many records may be sent again
/// because of it: those on their way, and those that settled within `age`.
fn live_and_die(gateway: &mut Gateway, age: Duration) -> f64 {
    let on_their_way = 3.0 * f64::from(WINDOW);
    let rate = f64::from(DRAIN_RATE);
    let born = Instant::now();
    let (settled, seen) = if rand::random_ratio(1, 4) {
        // In the middle of its start, perhaps.
        sleep(random(0..200));
        (0.0, born)
    } else {
        gateway.wait_for_answers();
        let life = random(0..3_500);
        sleep(life.saturating_sub(age));
        let before = if life > age { forwarded(gateway) } else { 0.0 };
        sleep(life.min(age));
        let seen = Instant::now();
        (forwarded(gateway) - before, seen)
    };
    gateway.kill();
    on_their_way + settled + rate * (seen.elapsed().as_secs_f64() + 0.1)
}

/// Kills the gateway for some time, with a load on a topic at these brokers.
fn survive(kafka: &Kafka, brokers: usize, topic: &str, age: Duration) {
    let seconds = std::env::var("KILL_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    kafka.create_topic(topic, 3, 1, &[]);
    let home = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), topic))
        .set("topics.events.deadline", "3s")
        .set("journal.window_records", i64::from(WINDOW))
        .set("journal.drain_rate", i64::from(DRAIN_RATE));
    let mut gateway = home.spawn();
    let url = url(gateway.address);
    let duration = format!("{seconds}s");
    let run = [
        "--rate",
        "150",
        "--duration",
        &duration,
        "--acknowledged",
        "safe",
    ];
    let run = [&["prove"], &*as_alice(&home, &url, &run)].concat();
    let (kills, bound) = scope(|scope| {
        // Kafka may be away when it wants to read. It is judged by its file, below.
        scope.spawn(|| home.run(&run));
        eventually(AMPLE, "the load has begun", || forwarded(&gateway) > 0.0);
        let end = Instant::now() + Duration::from_secs(seconds);
        scope.spawn(move || come_and_go(kafka, brokers, end));
        let (mut kills, mut bound) = (0_u32, 0.0);
        while kills < KILLS || Instant::now() < end {
            bound += live_and_die(&mut gateway, age);
            kills += 1;
            let workers = rand::random_range(1..=4_i64);
            gateway.start_again(&home.clone().set("topics.events.workers", workers));
        }
        gateway.wait_for_answers();
        (kills, bound)
    });
    await_no_backlog(&gateway);
    let read = ["--only-read", "--acknowledged", "safe", "--wait", "10s"];
    let report = prove(&home, &read, 0);
    let acknowledged = count(&report, "/records/acknowledged");
    let twice = count(&report, "/records/twice");
    eprintln!("{kills} kills: {twice} of {acknowledged} records are there twice, of {bound:.0}");
    assert!(acknowledged > 100, "{report:#}");
    assert_eq!(count(&report, "/records/lost"), 0, "{report:#}");
    assert_eq!(count(&report, "/records/out_of_order"), 0, "{report:#}");
    let twice = u32::try_from(twice).expect("few");
    assert!(f64::from(twice) <= bound, "{report:#}");

    let damaged = gateway.metric("iem_gateway_journal_damaged_total", &["events"]);
    assert!(damaged < 0.5, "{damaged} records");
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.log());
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
    let verified = home.run(&["journal", "verify", "events"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn a_gateway_that_is_killed_while_kafka_comes_and_goes_loses_nothing() {
    let (kafka, _turn) = spare();
    survive(kafka, 1, "kills", CURSOR_AGE);
}

#[test]
fn a_gateway_that_is_killed_while_partitions_come_and_go_loses_nothing() {
    let (kafka, _turn) = cluster();
    survive(kafka, 3, "kills-of-partitions", RANGES_AGE);
}
