//! Events that are sent again: each has a key of its own, by its source and its id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use iem_sink::Record;
use iem_test_support::eventually;

use super::*;

/// Returns a batch of events with these ids, each of the kind and the record that its id stands for.
fn events(ids: &[&str]) -> String {
    let events: Vec<_> = ids.iter().map(|id| of_id(id)).collect();
    format!("[{}]", events.join(","))
}

fn of_id(id: &str) -> String {
    let kind = if id.starts_with('m') {
        "metric"
    } else {
        "event"
    };
    event(id, kind, &acme(id))
}

fn alice(gateway: &Gateway, body: String) -> Answer {
    send(gateway, "alice", BATCH, body)
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

fn keys(records: &[Record]) -> Vec<String> {
    let mut keys: Vec<_> = records
        .iter()
        .map(|record| record.key.to_string())
        .collect();
    keys.sort();
    keys
}

#[test]
fn an_event_is_delivered_once_however_it_is_sent() {
    let gateway = Home::new().set("quota.records", 3).start();
    let structured = of_id("a");
    assert!(!is_replayed(
        &send(&gateway, "alice", STRUCTURED, structured.clone()).expect(200)
    ));
    let binary = post(PATH, acme("a"))
        .cookie(&gateway.token("alice"))
        .header("ce-specversion", "1.0")
        .header("ce-id", "a")
        .header("ce-source", "/tests")
        .header("ce-type", "iem.event");
    assert!(is_replayed(&gateway.send(&binary).expect(200)));
    assert!(is_replayed(
        &send(&gateway, "alice", STRUCTURED, structured.clone()).expect(200)
    ));
    assert!(is_replayed(
        &send(&gateway, "alice", LINES, structured).expect(200)
    ));
    // What is left out costs no quota, of which there is none for four at once.
    let more = alice(&gateway, events(&["a", "b", "a", "c"])).expect(200);
    assert!(!is_replayed(&more));
    let all = [acme("a"), acme("b"), acme("c")];
    let all = all.each_ref().map(String::as_str);
    check_data(&gateway, "events", &all);
    let again = alice(&gateway, events(&["c", "b", "a", "b"])).expect(200);
    assert!(is_replayed(&again));
    alice(&gateway, events(&["a", "d", "e", "f", "g"])).expect(429);
    check_data(&gateway, "events", &all);
}

#[test]
fn an_event_that_comes_twice_in_a_request_is_delivered_once() {
    // The places of a small window end within a request.
    let gateway = Home::new().set("idempotency.keys", 1_000).start();
    let ids: Vec<_> = (0..256).map(|number| format!("e{number}")).collect();
    let twice: Vec<_> = ids.iter().chain(&ids).map(String::as_str).collect();
    alice(&gateway, events(&twice)).expect(200);
    assert_eq!(gateway.home.records("events").len(), ids.len());
    let not_kept = gateway.metric("iem_gateway_idempotency_keys_not_kept_total", &[]);
    assert!(not_kept > 0.5, "{not_kept}");
}

#[test]
fn the_events_of_a_large_request_have_the_same_ids_and_are_not_known_again() {
    let gateway = Home::new().start();
    let ids: Vec<_> = (0..513).map(|number| format!("e{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    for _ in 0..2 {
        assert!(!is_replayed(&alice(&gateway, events(&ids)).expect(200)));
    }
    let records = gateway.home.records("events");
    assert_eq!(records.len(), 2 * ids.len());
    let distinct: BTreeSet<_> = records
        .iter()
        .map(|record| record.attribute("id"))
        .collect();
    assert_eq!(distinct.len(), ids.len());
    // One event less, and they are known from then on.
    assert!(!is_replayed(
        &alice(&gateway, events(&ids[1..])).expect(200)
    ));
    assert!(is_replayed(&alice(&gateway, events(&ids[1..])).expect(200)));
}

#[test]
fn an_event_with_other_data_stops_its_request_and_binds_nothing_else() {
    let gateway = Home::new().set("quota.records", 3).start();
    alice(&gateway, events(&["a", "m1"])).expect(200);
    let other = event("a", "event", &acme("other"));
    let answer = alice(
        &gateway,
        format!("[{},{},{other}]", of_id("m2"), of_id("b")),
    )
    .expect(422);
    assert_eq!(answer.json()["record"], 2);
    let answer = send(&gateway, "alice", STRUCTURED, other.clone()).expect(422);
    assert_eq!(answer.json()["record"], Value::Null);
    // Two that differ in one request, of which none has come before.
    let twice = format!("[{},{}]", of_id("c"), event("c", "event", &acme("other")));
    assert_eq!(alice(&gateway, twice).expect(422).json()["record"], 1);
    // Neither keys nor quota are taken by them.
    let changed = event("b", "event", &acme("changed"));
    assert!(!is_replayed(
        &send(&gateway, "alice", STRUCTURED, changed).expect(200)
    ));
    check_data(&gateway, "events", &[&acme("a"), &acme("changed")]);
    check_data(&gateway, "metrics", &[&acme("m1")]);
}

#[test]
fn another_user_customer_or_source_is_another_event() {
    let gateway = Home::new().start();
    let of_source = event("a", "event", &acme("a")).replace("/tests", "/others");
    let of_customer = event("a", "event", r#"{"envcustomerid":"globex"}"#);
    let all = format!("[{},{of_source},{of_customer}]", of_id("a"));
    assert!(!is_replayed(
        &send(&gateway, "root", BATCH, all).expect(200)
    ));
    assert!(!is_replayed(&alice(&gateway, events(&["a"])).expect(200)));
    assert_eq!(gateway.home.records("events").len(), 4);
}

#[test]
fn after_a_503_a_repeat_delivers_what_is_open() {
    let sink = ScriptedSink::new();
    let home = Home::new().set("topics.events.deadline", "500ms");
    let gateway = home.start_with(&sink);
    let error = || SinkError::transient("scripted");
    sink.set("events", Behaviour::FailSome(of_keys(&["/b"]), error()));
    let ids = ["a", "m", "b"];
    let answer = alice(&gateway, events(&ids)).expect(503);
    assert_eq!(answer.json()["failed"], json!([2]));
    sink.set("events", Behaviour::Deliver);
    eventually(Duration::from_secs(20), "the rest is delivered", || {
        let answer = alice(&gateway, events(&ids));
        answer.status == 200 && !is_replayed(&answer)
    });
    assert!(is_replayed(&alice(&gateway, events(&ids)).expect(200)));
    assert_eq!(keys(&sink.log("events").delivered), ["acme/a", "acme/b"]);
    assert_eq!(keys(&sink.log("metrics").delivered), ["acme/m"]);
}

#[test]
fn an_event_that_is_under_way_elsewhere_is_waited_for() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    sink.set("events", Behaviour::Stall);
    let request = |ids: &[&str]| {
        let request = post(PATH, events(ids)).cookie(&gateway.token("alice"));
        request.header("Content-Type", BATCH).bytes()
    };
    let mut connections = [gateway.connect(), gateway.connect(), gateway.connect()];
    let [first, second, third] = &mut connections;
    first.send(request(&["a", "b"]));
    sink.wait_for("events", |log| log.waiting == 1);
    // It has a part of its own, which does not wait.
    second.send(request(&["b", "m", "a"]));
    sink.wait_for("metrics", |log| log.delivered.len() == 1);
    third.send(request(&["b"]));
    let waited = ["outcome=\"waited\""];
    eventually(Duration::from_secs(20), "three events wait", || {
        gateway.metric("iem_gateway_idempotency_repeats_total", &waited) > 2.5
    });
    assert!(second.is_quiet() && third.is_quiet());
    sink.set("events", Behaviour::Deliver);
    assert!(!is_replayed(&first.answer().expect(200)));
    assert!(!is_replayed(&second.answer().expect(200)));
    assert!(is_replayed(&third.answer().expect(200)));
    assert_eq!(keys(&sink.log("events").delivered), ["acme/a", "acme/b"]);
}

#[test]
fn two_requests_with_the_same_events_the_other_way_round_both_end() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let token = gateway.token("alice");
    for round in 0..50 {
        let (one, other) = (format!("{round}-a"), format!("{round}-b"));
        let send = |ids: [&str; 2]| {
            let request = post(PATH, events(&ids)).cookie(&token);
            let mut connection = gateway.connect();
            connection.send(request.header("Content-Type", BATCH).bytes());
            connection
        };
        let mut connections = [send([&one, &other]), send([&other, &one])];
        for connection in &mut connections {
            connection.answer().expect(200);
        }
    }
    assert_eq!(sink.log("events").delivered.len(), 100);
}

#[test]
fn an_event_that_a_sink_holds_past_the_deadline_is_delivered_once() {
    let sink = ScriptedSink::new();
    let home = Home::new().set("topics.events.deadline", "300ms");
    let gateway = home.start_with(&sink);
    sink.once("events", Behaviour::StallPastDeadline);
    let ids = ["a", "m", "b", "a"];
    let answer = alice(&gateway, events(&ids)).expect(503);
    assert_eq!(answer.json()["failed"], json!([0, 2, 3]));
    let answer = alice(&gateway, events(&ids)).expect(503);
    assert_eq!(answer.json()["failed"], json!([0, 2, 3]));
    sink.release("events");
    eventually(Duration::from_secs(20), "they are delivered", || {
        alice(&gateway, events(&ids)).status == 200
    });
    assert!(is_replayed(&alice(&gateway, events(&ids)).expect(200)));
    assert_eq!(keys(&sink.log("events").delivered), ["acme/a", "acme/b"]);
    assert_eq!(keys(&sink.log("metrics").delivered), ["acme/m"]);
}

#[test]
fn a_client_that_goes_away_leaves_no_event_under_way() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    sink.set("events", Behaviour::Stall);
    let body = events(&["a", "b"]);
    let request = post(PATH, body.clone()).cookie(&gateway.token("alice"));
    let mut first = gateway.connect();
    first.send(request.header("Content-Type", BATCH).bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    drop(first);
    sink.set("events", Behaviour::Deliver);
    sink.wait_for("events", |log| log.delivered.len() == 2);
    assert!(is_replayed(&alice(&gateway, body).expect(200)));
    assert_eq!(sink.log("events").delivered.len(), 2);
}

#[test]
fn what_a_sink_never_takes_stays_refused() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let is_b = Arc::new(|record: &Record| record.key.ends_with("/b"));
    sink.set("events", Behaviour::Reject(is_b, Reason::Schema));
    for _ in 0..2 {
        let answer = alice(&gateway, events(&["a", "b"])).expect(413);
        assert_eq!(answer.json()["rejected"], json!([1]));
    }
    assert_eq!(keys(&sink.log("events").delivered), ["acme/a"]);
}

#[test]
fn an_id_that_a_gateway_gave_is_kept_and_known() {
    let gateway = Home::new().start();
    let id = "019d962a-7d5e-7abc-8def-0123456789ab";
    for _ in 0..2 {
        alice(&gateway, format!("[{}]", event(id, "event", &acme("a")))).expect(200);
    }
    let records = gateway.home.records("events");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].attribute("id"), id);
    alice(&gateway, format!("[{}]", event(id, "event", &acme("b")))).expect(422);
}

#[test]
fn a_gateway_that_starts_knows_the_events_that_its_journal_has() {
    let home = Home::new().set("topics.events.durability", "journaled");
    let mut gateway = home.spawn();
    let answer = alice(&gateway, events(&["a", "m", "b"])).expect(200);
    assert_eq!(answer.header("iem-durability"), Some("journaled"));
    gateway.kill();
    let gateway = home.spawn();
    // The user counts as one more.
    eventually(Duration::from_secs(20), "two events are known", || {
        gateway.metric("iem_gateway_idempotency_keys", &[]) > 2.5
    });
    assert!(is_replayed(
        &alice(&gateway, events(&["b", "a"])).expect(200)
    ));
    // The topic of the metrics has no journal.
    assert!(!is_replayed(
        &alice(&gateway, events(&["a", "m"])).expect(200)
    ));
    alice(&gateway, format!("[{}]", event("a", "event", &acme("x")))).expect(422);
    // A killed gateway may have forwarded before, so that a record is there again.
    eventually(Duration::from_secs(20), "two records are forwarded", || {
        let records = home.records("events");
        let ids: BTreeSet<_> = records.iter().map(|one| one.attribute("id")).collect();
        ids.len() == 2
    });
    let metrics = home.records("metrics");
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0].attribute("id"), metrics[1].attribute("id"));
}
