//! A bound on what a backlog sends to a sink that has just come back.

use std::time::Instant;

use iem_test_support::{read_kafka, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

/// Records a second.
const RATE: u32 = 100;
const WINDOW: u32 = 20;
const BACKLOG: u32 = 400;

#[test]
fn a_backlog_comes_at_its_rate_and_fresh_records_come_behind_it() {
    let (kafka, _turn) = spare();
    kafka.create_topic("drain-rate", 1, 1, &[]);
    let gateway = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "drain-rate"))
        .set("journal.window_records", i64::from(WINDOW))
        .set("journal.drain_rate", i64::from(RATE))
        .start();
    kafka.pause(0);
    let publish = |key: &str, count: u32| -> Vec<String> {
        let publish = |number: u32| {
            let id = format!("{key}-{number:06}");
            gateway
                .publish(EVENTS, record(key, number as usize))
                .expect(200);
            id
        };
        (0..count).map(publish).collect()
    };
    let mut ids = publish("old", BACKLOG);
    let began = Instant::now();
    kafka.resume(0);
    ids.extend(publish("fresh", 20));
    await_no_backlog(&gateway);
    let took = began.elapsed().as_secs_f64();
    // Three windows may have been on their way, and a tenth of a second may be made up for.
    let sent = f64::from(BACKLOG) - f64::from(3 * WINDOW) - f64::from(RATE) / 10.0;
    assert!(
        took >= sent / f64::from(RATE),
        "{took} s for {sent} records"
    );
    assert_eq!(test_ids(&read_kafka(kafka, "drain-rate")), ids);
}
