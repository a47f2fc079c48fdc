//! Requests that are repeated with their idempotency key: each record reaches the sink once, and
//! always has the same id.

mod late;

use std::sync::Arc;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_sink::{Reason, Record, SinkError};
use iem_test_support::{Answer, Connection, Gateway, Home, Request, eventually, post};

const EVENTS: &str = "/publish/allevents/";
const ONE: &str = r#"{"envcustomerid":"acme","splitby":1}"#;
const TWO: &str = r#"[{"envcustomerid":"acme","splitby":1},{"envcustomerid":"acme","splitby":2}]"#;

fn request(gateway: &Gateway, body: &str) -> Request {
    let request = post(EVENTS, body).cookie(&gateway.token("alice"));
    request.header("Idempotency-Key", "flow-file-1")
}

fn send(gateway: &Gateway, body: &str) -> Answer {
    gateway.send(&request(gateway, body))
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

fn is_second(record: &Record) -> bool {
    record.data.ends_with(b":2}")
}

#[track_caller]
fn assert_repeats(gateway: &Gateway, outcome: &str, expected: &str) {
    let label = format!("outcome=\"{outcome}\"");
    let count = gateway.metric("iem_gateway_idempotency_repeats_total", &[&label]);
    assert_eq!(count.to_string(), expected, "{outcome}");
}

fn await_waiting(gateway: &Gateway) {
    let label = "outcome=\"waited\"";
    eventually(Duration::from_secs(10), "a repeat waits", || {
        gateway.metric("iem_gateway_idempotency_repeats_total", &[label]) > 0.5
    });
}

/// Sends a request and its repeat. Returns the connections once the sink has the first, and the
/// repeat waits for it.
fn send_twice(gateway: &Gateway, sink: &ScriptedSink) -> [Connection; 2] {
    let bytes = request(gateway, ONE).bytes();
    let [mut first, mut second] = [gateway.connect(), gateway.connect()];
    first.send(&bytes);
    sink.wait_for("events", |log| log.waiting == 1);
    second.send(&bytes);
    await_waiting(gateway);
    [first, second]
}

#[test]
fn a_repeat_is_answered_and_not_delivered_again() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    assert!(!is_replayed(&send(&gateway, TWO).expect(200)));
    for _ in 0..3 {
        assert!(is_replayed(&send(&gateway, TWO).expect(200)));
    }
    let delivered = sink.log("events").delivered;
    assert_eq!(delivered.len(), 2);
    assert_ne!(delivered[0].id, delivered[1].id);
    assert!(delivered.iter().all(|one| one.id.get_version_num() == 8));
    send(&gateway, ONE).expect(422);
    assert_eq!(sink.log("events").delivered.len(), 2);
    assert_repeats(&gateway, "replayed", "3");
    assert_repeats(&gateway, "reused", "1");
    // The user counts as one more.
    let keys = gateway.metric("iem_gateway_idempotency_keys", &[]);
    assert_eq!(keys.to_string(), "2");
}

#[test]
fn a_repeat_waits_for_the_first_request() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    sink.set("events", Behaviour::Stall);
    let [mut first, mut second] = send_twice(&gateway, &sink);
    assert!(second.is_quiet());
    sink.set("events", Behaviour::Deliver);
    assert!(!is_replayed(&first.answer().expect(200)));
    assert!(is_replayed(&second.answer().expect(200)));
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn a_client_that_lost_its_connection_finds_what_it_has_sent() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    sink.set("events", Behaviour::Stall);
    let mut first = gateway.connect();
    first.send(request(&gateway, ONE).bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    drop(first);
    let mut second = gateway.connect();
    second.send(request(&gateway, ONE).bytes());
    await_waiting(&gateway);
    sink.set("events", Behaviour::Deliver);
    assert!(is_replayed(&second.answer().expect(200)));
    assert!(is_replayed(&send(&gateway, ONE).expect(200)));
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn after_a_503_a_repeat_delivers_what_is_left() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("topics.events.deadline", "500ms")
        .start_with(&sink);
    let error = SinkError::transient("some are refused");
    sink.set("events", Behaviour::FailSome(Arc::new(is_second), error));
    let answer = send(&gateway, TWO).expect(503);
    assert_eq!(answer.json()["failed"], serde_json::json!([1]));
    send(&gateway, ONE).expect(422);
    sink.set("events", Behaviour::Deliver);
    // The worker waits for a moment before it tries again.
    eventually(Duration::from_secs(20), "it is delivered", || {
        let answer = send(&gateway, TWO);
        answer.status == 200 && !is_replayed(&answer)
    });
    assert!(is_replayed(&send(&gateway, TWO).expect(200)));
    let delivered = sink.log("events").delivered;
    let second: Vec<_> = delivered.iter().map(is_second).collect();
    assert_eq!(second, [false, true]);
}

#[test]
fn what_the_sink_never_takes_stays_refused() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    sink.set(
        "events",
        Behaviour::Reject(Arc::new(is_second), Reason::Schema),
    );
    send(&gateway, TWO).expect(413);
    sink.set("events", Behaviour::Deliver);
    let answer = send(&gateway, TWO).expect(413);
    assert_eq!(answer.json()["rejected"], serde_json::json!([1]));
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn a_request_that_was_refused_before_the_sink_binds_nothing() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let other = post(EVENTS, r#"{"envcustomerid":"globex"}"#);
    let other = other.cookie(&gateway.token("alice"));
    let other = other.header("Idempotency-Key", "flow-file-1");
    gateway.send(&other).expect(401);
    send(&gateway, "{").expect(400);
    assert!(!is_replayed(&send(&gateway, ONE).expect(200)));
}

#[test]
fn a_repeat_after_a_restart_has_the_same_ids() {
    let home = Home::new();
    let mut gateway = home.start();
    send(&gateway, TWO).expect(200);
    gateway.stop();
    let gateway = home.start();
    assert!(!is_replayed(&send(&gateway, TWO).expect(200)));
    let lines = home.records("events");
    let ids: Vec<_> = lines.iter().map(|line| &line.attributes["id"]).collect();
    assert_eq!(ids[..2], ids[2..]);
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_gateway_that_starts_knows_the_keys_that_its_journal_has() {
    let home = Home::new().set("topics.events.durability", "journaled");
    let mut gateway = home.spawn();
    send(&gateway, TWO).expect(200);
    gateway.kill();
    let gateway = home.spawn();
    eventually(Duration::from_secs(20), "the key is known", || {
        gateway.metric("iem_gateway_idempotency_keys", &[]) > 0.5
    });
    let again = send(&gateway, TWO).expect(200);
    assert!(is_replayed(&again));
    assert_eq!(again.header("iem-durability"), Some("journaled"));
    send(&gateway, ONE).expect(422);
}

#[test]
fn a_repeat_costs_no_quota() {
    let gateway = Home::new().set("quota.records", 2).start();
    send(&gateway, TWO).expect(200);
    for _ in 0..5 {
        assert!(is_replayed(&send(&gateway, TWO).expect(200)));
        send(&gateway, ONE).expect(422);
    }
}

#[test]
fn what_is_left_of_several_customers_goes_to_each() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("topics.events.deadline", "500ms")
        .set("topics.events.workers", 3)
        .start_with(&sink);
    let record = |customer: &str, number: usize| {
        format!(r#"{{"envcustomerid":"{customer}","splitby":{number}}}"#)
    };
    let customers = ["acme", "acme", "globex", "acme", "globex", "globex"];
    let records = customers.iter().zip(1..);
    let records: Vec<_> = records
        .map(|(customer, number)| record(customer, number))
        .collect();
    let body = format!("[{}]", records.join(","));
    let root = |gateway: &Gateway| {
        let request = post(EVENTS, body.as_str()).cookie(&gateway.token("root"));
        gateway.send(&request.header("Idempotency-Key", "\"several\""))
    };
    let is_odd = |record: &Record| {
        [1, 3, 5]
            .iter()
            .any(|n| record.data.ends_with(format!(":{n}}}").as_bytes()))
    };
    let error = SinkError::transient("some are refused");
    sink.set("events", Behaviour::FailSome(Arc::new(is_odd), error));
    let answer = root(&gateway).expect(503);
    assert_eq!(answer.json()["failed"], serde_json::json!([0, 2, 4]));
    sink.set("events", Behaviour::Deliver);
    eventually(Duration::from_secs(20), "the rest is delivered", || {
        root(&gateway).status == 200
    });
    let mut delivered: Vec<_> = sink.log("events").delivered;
    delivered.sort_by_key(|record| record.data.clone());
    let delivered: Vec<_> = delivered
        .iter()
        .map(|record| {
            (
                &*record.customer,
                String::from_utf8_lossy(&record.data).into_owned(),
            )
        })
        .collect();
    let mut expected: Vec<_> = customers.into_iter().zip(records).collect();
    expected.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(delivered, expected);
}

#[test]
fn a_large_body_has_derived_ids_too() {
    let home = Home::new();
    let gateway = home.start();
    let space = " ".repeat(300 << 10);
    let large = format!("[{ONE},{space}{ONE}]");
    send(&gateway, &large).expect(200);
    assert!(is_replayed(&send(&gateway, &large).expect(200)));
    assert_eq!(home.records("events").len(), 2);
}

#[test]
fn a_request_for_more_than_was_held_is_not_answered_by_less() {
    let home = Home::new().set("topics.events.durability", "journaled");
    let gateway = home.start();
    let journaled = send(&gateway, ONE).expect(200);
    assert_eq!(journaled.header("iem-durability"), Some("journaled"));
    let more = request(&gateway, ONE).header("IEM-Durability", "delivered");
    gateway.send(&more).expect(422);
    let again = send(&gateway, ONE).expect(200);
    assert_eq!(again.header("iem-durability"), Some("journaled"));
    assert!(is_replayed(&again));
}
