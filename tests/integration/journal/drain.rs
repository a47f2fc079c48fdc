//! `journal drain`: a stopped gateway's backlog goes to the sink without a gateway.

use std::fs;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{read_kafka, read_lines, test_ids};

use super::outage::{all_in_order, publish};
use super::*;
use crate::backends::kafka::faults::spare;

/// Returns a home whose events have a journal, and a sink that nobody answers for.
fn cut_off() -> Home {
    journaled(Home::new().events_at_kafka(NOWHERE, "nowhere"))
}

/// Has a gateway that is then killed leave a backlog of 30 records. Returns their ids.
fn leave_backlog(home: &Home) -> Vec<String> {
    let mut gateway = home.spawn();
    let ids = publish(&gateway, 0, 10);
    gateway.kill();
    ids
}

#[test]
fn a_killed_gateways_backlog_is_drained_in_order_once_kafka_is_back() {
    let (kafka, _turn) = spare();
    kafka.create_topic("drained", 3, 1, &[]);
    let home = journaled(Home::new().events_at_kafka(&kafka.bootstrap(), "drained"))
        .set("topics.events.workers", 3);
    let mut gateway = home.spawn();
    let mut ids = publish(&gateway, 0, 5);
    await_no_backlog(&gateway);
    kafka.kill(0);
    ids.extend(publish(&gateway, 5, 20));
    ids.extend(publish(&gateway, 25, 20));
    gateway.kill();

    // While it is away, nothing is lost: neither when time is over nor by a signal.
    let said = run(&home, &["journal", "drain", "--timeout", "1s"], 1);
    assert!(
        said.contains("events: 0 records delivered, 120 left; given up"),
        "{said}"
    );
    assert!(
        said.contains("taken nothing for 1s: "),
        "the reason: {said}"
    );
    let child = spawn(&home, &["journal", "drain", "events"]);
    let journal = home.path("journal/events/.lock");
    let pid = child.id().to_string();
    eventually(AMPLE, "it has the journal", || {
        fs::read_to_string(&journal).is_ok_and(|note| note.contains(&pid))
    });
    let answer = stop(child);
    assert_eq!(answer[0]["ended"], "stopped");
    assert_eq!(answer[0]["left"], 120);

    kafka.restart(0);
    let said = run(&home, &["journal", "drain"], 0);
    let all = "events: 120 records delivered, nothing left";
    assert!(said.contains(all), "{said}");
    all_in_order(kafka, "drained", &ids);
    let answer = run_json(&home, &["journal", "drain", "events"], 0);
    assert_eq!(answer[0]["delivered"], 0);
    assert_eq!(answer[0]["left"], 0);
    // The cursor is synced: a gateway has nothing to send again.
    let gateway = home.spawn();
    assert!(backlog(&gateway) < 0.5);
    all_in_order(kafka, "drained", &ids);
}

#[test]
fn a_running_gateways_journal_is_not_drained_and_the_gateway_is_named() {
    let home = cut_off();
    let mut gateway = home.spawn();
    publish(&gateway, 0, 10);
    let said = run(&home, &["journal", "drain", "events"], 1);
    let pid = gateway.pid().to_string();
    for words in ["open in process", &pid, "stop it first"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!((backlog(&gateway) - 30.0).abs() < 0.5);
    gateway.publish(EVENTS, RECORD).expect(200);
}

#[test]
fn a_backlog_can_go_to_another_sink_when_the_topic_has_no_journal_any_more() {
    let home = cut_off();
    let ids = leave_backlog(&home);
    let home = home
        .set("topics.events.sink", "file")
        .set("topics.events.durability", "delivered");
    run(&home, &["journal", "drain"], 0);
    let lines = home.records("nowhere");
    let found: Vec<_> = lines.iter().map(iem_test_support::Line::test_id).collect();
    assert_eq!(found, ids);
}

#[test]
fn what_the_sink_will_never_take_is_kept_before_nothing_is_left() {
    let kafka = Kafka::shared();
    kafka.create_topic("drained-small", 1, 1, &[("max.message.bytes", "2000")]);
    let home = cut_off();
    let mut gateway = home.spawn();
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    gateway.publish(EVENTS, large("large", 5_000)).expect(200);
    gateway.publish(EVENTS, record("a", 1)).expect(200);
    gateway.kill();
    let home = home.events_at_kafka(&kafka.bootstrap(), "drained-small");
    let said = run(&home, &["journal", "drain"], 0);
    let among = "events: 2 records delivered, 1 among the dead letters in ";
    assert!(said.contains(among), "{said}");
    assert!(said.contains("dead-letters/events, nothing left"), "{said}");
    let letters = read_lines(&home.path("journal/dead-letters/events"));
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].test_id(), "large");
    let arrived = test_ids(&read_kafka(kafka, "drained-small"));
    assert_eq!(arrived, ["a-000000", "a-000001"]);
}

#[test]
fn damage_is_1_and_the_rest_is_drained() {
    let home = cut_off();
    leave_backlog(&home);
    let segment = home.path("journal/events/00000000000000000000.journal");
    let mut bytes = fs::read(&segment).expect("a segment");
    let record = bytes.windows(8).position(|text| text == b"b-000004");
    bytes[record.expect("the record")] = b'x';
    fs::write(&segment, bytes).expect("a segment");
    let home = home.set("topics.events.sink", "file");
    let answer = run_json(&home, &["journal", "drain"], 1);
    assert_eq!(answer[0]["damaged"], 1);
    assert_eq!(answer[0]["delivered"], 29);
    assert_eq!(answer[0]["left"], 0);
    assert_eq!(home.records("nowhere").len(), 29);
}

#[test]
fn a_sink_that_will_not_have_the_topic_ends_it_at_once() {
    let kafka = Kafka::shared();
    let home = cut_off();
    leave_backlog(&home);
    let home = home.set("sink.kafka.bootstrap_servers", kafka.bootstrap());
    let said = run(&home, &["journal", "drain"], 78);
    assert!(
        said.contains("topics.events") && said.contains("nowhere"),
        "{said}"
    );
    let answer = run_json(&home, &["journal", "inspect"], 0);
    assert_eq!(answer[0]["backlog"]["records"], 30);
}

#[test]
fn a_topic_without_a_journal_is_told_so() {
    let home = Home::new();
    let said = run(&home, &["journal", "drain"], 1);
    assert!(said.contains("journal: no journal is there"), "{said}");
    let said = run(&home, &["journal", "drain", "tickets"], 1);
    assert!(
        said.contains("journal/tickets: no journal is there"),
        "{said}"
    );
    assert!(!home.path("journal").exists(), "nothing is made");
    let said = run(&home, &["journal", "drain", "ticket"], 2);
    assert!(said.contains("none of events, metrics"), "{said}");
}
