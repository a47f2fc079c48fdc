//! A journal on a disk that is full: 503, and it drains, also after a start on the full disk.

use std::fs::File;
use std::io::Write;

use iem_test_support::{SmallDisk, read_kafka, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

/// Two segments fit, and no third one.
const MEBIBYTES: usize = 140;
const RECORD_BYTES: usize = 1_000_000;

/// Publishes records of one key until one is refused. Returns the ids of those that were taken.
fn fill(gateway: &Gateway) -> Vec<String> {
    let padding = "x".repeat(RECORD_BYTES);
    let mut ids = Vec::new();
    loop {
        let id = format!("large-{:06}", ids.len());
        let record = format!(
            r#"{{"envcustomerid":"acme","splitby":"large","test_id":"{id}","padding":"{padding}"}}"#
        );
        let answer = gateway.publish(EVENTS, record);
        if answer.status != 200 {
            answer.expect(503).says_when_to_retry();
            return ids;
        }
        ids.push(id);
    }
}

#[test]
fn a_full_disk_is_503_and_the_journal_drains_although_it_is_full() {
    let (kafka, _turn) = spare();
    kafka.create_topic("full-disk", 3, 1, &[("max.message.bytes", "2000000")]);
    let home = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "full-disk"));
    let disk = SmallDisk::mount(&home, "journal", MEBIBYTES);
    let mut gateway = home.spawn_by(disk.serve(&home));
    kafka.pause(0);
    let ids = fill(&gateway);
    // It stays to the end. The gateway tries again and again to make a file of a segment's length.
    let mut filler = File::create(disk.path().join("filler")).expect("a file");
    while filler.write_all(&[0; 4096]).is_ok() {}
    eventually(AMPLE, "small ones have no room either", || {
        gateway.publish(EVENTS, RECORD).status == 503
    });
    assert!(ids.len() > 100, "{} records", ids.len());
    let held = backlog(&gateway);
    let count = u32::try_from(ids.len()).expect("few");
    assert!(held >= f64::from(count), "{held} records");

    // A start finds the disk as full as it was.
    let again = disk.serve(&home);
    gateway.start_again_by(&home, again);
    gateway.wait_for_answers();
    assert!((backlog(&gateway) - held).abs() < 0.5, "{held} records");
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    gateway.admin("/readyz?sinks").expect(503);
    kafka.resume(0);
    await_no_backlog(&gateway);
    eventually(AMPLE, "records are taken again", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    await_no_backlog(&gateway);
    let arrived = test_ids(&read_kafka(kafka, "full-disk"));
    let arrived: Vec<_> = arrived
        .into_iter()
        .filter(|id| id.starts_with("large"))
        .collect();
    assert_eq!(arrived, ids);
}
