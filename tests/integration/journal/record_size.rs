//! Records that the sink would never take, because they are too large: refused before they are
//! journaled.

use std::fs;

use iem_sink::SinkError;
use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::{Answer, Line, post, read_kafka, read_lines, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

const TOO_LARGE: &str = "The record is larger than the topic takes";

#[track_caller]
fn is_too_large(answer: Answer) -> Answer {
    let answer = answer.expect(413);
    assert_eq!(answer.message(), TOO_LARGE);
    answer
}

/// Returns whether the journal's files hold this text.
fn is_journaled(home: &Home, text: &str) -> bool {
    let entries = fs::read_dir(home.path("journal/events")).expect("a journal");
    entries.into_iter().any(|entry| {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        memchr::memmem::find(&bytes, text.as_bytes()).is_some()
    })
}

fn committed(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_journal_committed_records_total", &["events"])
}

fn away() -> Behaviour {
    Behaviour::Fail(SinkError::transient("it is away"))
}

/// The limit is Kafka's own, then the one that was kept, then a higher one.
#[test]
fn a_record_that_kafka_would_never_take_is_413_while_it_is_up_and_while_it_is_down() {
    let (kafka, _turn) = spare();
    kafka.create_topic("sized", 1, 1, &[("max.message.bytes", "20000")]);
    let home = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "sized"));
    let mut gateway = home.spawn();
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    is_too_large(gateway.publish(EVENTS, large("refused-0", 30_000)));
    let rejected = gateway.metric("iem_gateway_records_total", &["events", "\"rejected\""]);
    assert!((rejected - 1.0).abs() < 0.5, "{rejected}");
    eventually(AMPLE, "the limit is kept", || {
        home.path("journal/events/limit").exists()
    });
    kafka.kill(0);
    gateway.kill();

    let mut gateway = home.spawn();
    gateway.publish(EVENTS, record("a", 1)).expect(200);
    is_too_large(gateway.publish(EVENTS, large("refused-1", 30_000)));
    assert!((committed(&gateway) - 1.0).abs() < 0.5);
    assert!(is_journaled(&home, "a-000001") && !is_journaled(&home, "refused"));

    kafka.restart(0);
    await_no_backlog(&gateway);
    kafka.configure_topic("sized", "max.message.bytes", "50000");
    eventually(AMPLE, "the new limit holds", || {
        gateway.publish(EVENTS, large("taken", 30_000)).status == 200
    });
    is_too_large(gateway.publish(EVENTS, large("refused-2", 60_000)));
    await_no_backlog(&gateway);
    assert_eq!(
        test_ids(&read_kafka(kafka, "sized")),
        ["a-000000", "a-000001", "taken"]
    );
    gateway.kill();
}

#[test]
fn of_many_records_those_are_named_that_are_too_large_and_the_others_are_taken() {
    let sink = ScriptedSink::new();
    sink.set_limit("events", Some(500));
    let gateway = journaled(Home::new()).start_with(&sink);
    let records = [
        large("l-0", 600),
        record("a", 0),
        large("l-1", 600),
        record("a", 1),
    ];
    let many = format!("[{}]", records.join(","));
    for durability in ["journaled", "delivered"] {
        let request = post(EVENTS, many.clone())
            .cookie(&gateway.token("alice"))
            .header("IEM-Durability", durability);
        let answer = is_too_large(gateway.send(&request));
        assert_eq!(answer.json()["rejected"], serde_json::json!([0, 2]));
    }
    await_no_backlog(&gateway);
    let delivered = sink.log("events").delivered;
    assert_eq!(delivered.len(), 4);
    assert!(delivered.iter().all(|record| record.data.len() < 500));
    // A record of the limit's size is taken.
    let sizes = [500, 501].map(|bytes| bytes - large("", 0).len());
    let statuses = sizes.map(|bytes| gateway.publish(EVENTS, large("", bytes)).status);
    assert_eq!(statuses, [200, 413]);
}

#[test]
fn a_kept_limit_counts_while_the_sink_is_away_and_a_damaged_or_foreign_one_does_not() {
    let sink = ScriptedSink::new();
    sink.set_limit("events", Some(500));
    let home = journaled(Home::new());
    let path = home.path("journal/events/limit");
    let mut gateway = home.start_with(&sink);
    is_too_large(gateway.publish(EVENTS, large("l", 600)));
    gateway.stop();
    let kept = fs::read_to_string(&path).expect("it is kept");

    sink.refuse("events", Some(SinkError::transient("it is away")));
    let mut gateway = home.start_with(&sink);
    is_too_large(gateway.publish(EVENTS, large("l", 600)));
    gateway.stop();

    fs::write(&path, kept.replace("500", "400")).expect("damage");
    let mut gateway = home.start_with(&sink);
    gateway.publish(EVENTS, large("l", 600)).expect(200);
    gateway.stop();

    fs::write(&path, &kept).expect("a file");
    let elsewhere = home.clone().set("topics.events.name", "other");
    let gateway = elsewhere.start_with(&sink);
    gateway.publish(EVENTS, large("l", 600)).expect(200);
}

#[test]
fn a_record_that_was_taken_before_the_limit_was_lowered_becomes_a_dead_letter() {
    let sink = ScriptedSink::new();
    let home = journaled(Home::new());
    let gateway = home.start_with(&sink);
    sink.set("events", away());
    gateway.publish(EVENTS, large("large", 600)).expect(200);
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    sink.set_limit("events", Some(500));
    eventually(AMPLE, "the limit is learned", || {
        gateway.publish(EVENTS, large("refused", 600)).status == 413
    });
    sink.set("events", Behaviour::Deliver);
    await_no_backlog(&gateway);
    let letters = read_lines(&home.path("journal/dead-letters/events"));
    assert!(!letters.is_empty(), "those that came before it was learned");
    assert_eq!(letters[0].test_id(), "large");
    let ids: Vec<_> = letters.iter().map(Line::test_id).collect();
    assert!(ids[1..].iter().all(|id| id == "refused"), "{ids:?}");
    assert_eq!(sink.log("events").delivered.len(), 1);
}
