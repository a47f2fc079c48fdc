//! Repeats of requests whose records a sink holds past their deadline: it delivers them once, and the
//! repeat is told so.

use super::*;

fn patient(deadline: &str) -> Home {
    Home::new().set("topics.events.deadline", deadline)
}

fn await_replayed(gateway: &Gateway, body: &str) -> Answer {
    let mut last = None;
    eventually(Duration::from_secs(20), "it is delivered", || {
        let answer = send(gateway, body);
        let is_delivered = answer.status == 200;
        last = Some(answer);
        is_delivered
    });
    last.expect("an answer")
}

#[test]
fn what_a_sink_holds_past_the_deadline_is_delivered_once() {
    let sink = ScriptedSink::new();
    let gateway = patient("300ms").start_with(&sink);
    // It delivers, but long after the deadline.
    sink.once("events", Behaviour::StallPastDeadline);
    send(&gateway, TWO).expect(503);
    send(&gateway, TWO).expect(503);
    send(&gateway, ONE).expect(422);
    // One repeat waits at the time of the delivery.
    let mut waiting = gateway.connect();
    waiting.send(request(&gateway, TWO).bytes());
    sink.release("events");
    let answer = waiting.answer();
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    assert!(is_replayed(&await_replayed(&gateway, TWO)));
    let delivered = sink.log("events").delivered;
    assert_eq!(delivered.len(), 2);
    assert_ne!(delivered[0].id, delivered[1].id);
    assert!(is_replayed(&send(&gateway, TWO).expect(200)));
    assert_eq!(sink.log("events").delivered.len(), 2);
    assert_repeats(&gateway, "resumed", "0");
}

#[test]
fn late_outcomes_count_although_both_clients_are_gone() {
    let sink = ScriptedSink::new();
    let gateway = patient("300ms").start_with(&sink);
    sink.once("events", Behaviour::StallPastDeadline);
    drop(send_twice(&gateway, &sink));
    send(&gateway, ONE).expect(503);
    sink.release("events");
    assert!(is_replayed(&await_replayed(&gateway, ONE)));
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn what_a_sink_gives_up_past_the_deadline_is_delivered_by_a_repeat() {
    let sink = ScriptedSink::new();
    let gateway = patient("300ms").start_with(&sink);
    sink.once("events", Behaviour::StallPastDeadline);
    // The worker is busy, so this one is not handed over in time.
    let mut busy = gateway.connect();
    let other = post(EVENTS, ONE).cookie(&gateway.token("alice"));
    busy.send(other.bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    send(&gateway, TWO).expect(503);
    sink.release("events");
    let answer = await_replayed(&gateway, TWO);
    assert!(!is_replayed(&answer), "no sink ever had it");
    assert!(is_replayed(&send(&gateway, TWO).expect(200)));
    assert_eq!(sink.log("events").delivered.len(), 3);
}

#[test]
fn a_writer_that_panics_past_the_deadline_leaves_no_key_under_way() {
    let sink = ScriptedSink::new();
    let gateway = patient("300ms").start_with(&sink);
    sink.once("events", Behaviour::Panic);
    sink.once("events", Behaviour::Panic);
    let answer = send(&gateway, TWO);
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    await_replayed(&gateway, TWO);
    assert_eq!(sink.log("events").delivered.len(), 2);
}

/// The journal has the records, and delivers them in the end.
#[test]
fn what_a_journal_delivers_past_the_deadline_is_not_journaled_again() {
    let sink = ScriptedSink::new();
    let home = patient("500ms").set("topics.events.durability", "journaled");
    let gateway = home.start_with(&sink);
    let more = || request(&gateway, TWO).header("IEM-Durability", "delivered");
    sink.set("events", Behaviour::Fail(SinkError::transient("away")));
    gateway.send(&more()).expect(503);
    gateway.send(&more()).expect(503);
    let backlog = gateway.metric("iem_gateway_journal_records", &["events"]);
    assert_eq!(backlog.to_string(), "2");
    // The topic takes others meanwhile.
    let other = post(EVENTS, ONE).cookie(&gateway.token("alice"));
    gateway.send(&other).expect(200);
    sink.set("events", Behaviour::Deliver);
    eventually(Duration::from_secs(20), "it is delivered", || {
        let answer = gateway.send(&more());
        answer.status == 200 && is_replayed(&answer)
    });
    let answer = gateway.send(&more()).expect(200);
    assert_eq!(answer.header("iem-durability"), Some("delivered"));
    sink.wait_for("events", |log| log.delivered.len() == 3);
    assert_eq!(sink.log("events").delivered.len(), 3);
}
