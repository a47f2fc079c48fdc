//! The header `IEM-Durability`: a client asks by it, and is told by it.

use std::time::{Duration, Instant};

use iem_sink::SinkError;
use iem_sink::testing::{Behaviour, ScriptedSink};

use super::*;

fn publish(gateway: &Gateway, asked: &str) -> Answer {
    publish_as(gateway, RECORD, asked)
}

#[track_caller]
fn holds(answer: Answer, expected: &str) {
    let answer = answer.expect(200);
    assert_eq!(answer.header("iem-durability"), Some(expected));
    assert_eq!(answer.message(), "Data published successfully");
}

#[test]
fn a_topic_without_a_journal_delivers_whatever_is_asked() {
    let gateway = Home::new().start();
    holds(gateway.publish(EVENTS, RECORD), "delivered");
    holds(publish(&gateway, "journaled"), "delivered");
    holds(publish(&gateway, "delivered"), "delivered");
}

#[test]
fn an_unknown_durability_is_400() {
    let gateway = journaled(Home::new()).start();
    for asked in ["", "Delivered", "durable", "delivered, journaled"] {
        let answer = publish(&gateway, asked).expect(400);
        let message = "IEM-Durability must be delivered or journaled";
        assert_eq!(answer.message(), message, "{asked:?}");
    }
    let twice = post(EVENTS, RECORD)
        .cookie(&gateway.token("alice"))
        .header("IEM-Durability", "delivered")
        .header("IEM-Durability", "delivered");
    gateway.send(&twice).expect(400);
}

#[test]
fn delivered_of_a_journaled_topic_waits_for_the_sink_and_journaled_does_not() {
    let sink = ScriptedSink::new();
    let gateway = journaled(Home::new())
        .set("topics.events.deadline", "2s")
        .start_with(&sink);
    holds(gateway.publish(EVENTS, RECORD), "journaled");
    holds(publish(&gateway, "delivered"), "delivered");
    await_no_backlog(&gateway);
    sink.set(
        "events",
        Behaviour::Fail(SinkError::transient("it is away")),
    );
    holds(gateway.publish(EVENTS, RECORD), "journaled");
    let began = Instant::now();
    publish(&gateway, "delivered")
        .expect(503)
        .says_when_to_retry();
    assert!(began.elapsed() > Duration::from_secs(1), "it waited");
    assert!(
        (backlog(&gateway) - 2.0).abs() < 0.5,
        "{}",
        backlog(&gateway)
    );
    sink.set("events", Behaviour::Deliver);
    await_no_backlog(&gateway);
    holds(publish(&gateway, "delivered"), "delivered");
}

#[test]
fn a_journal_that_is_too_old_is_503_until_the_sink_is_back() {
    let sink = ScriptedSink::new();
    let gateway = journaled(Home::new())
        .set("journal.age", "1s")
        .start_with(&sink);
    sink.set(
        "events",
        Behaviour::Fail(SinkError::transient("it is away")),
    );
    holds(gateway.publish(EVENTS, RECORD), "journaled");
    gateway.admin("/readyz?sinks").expect(200);
    eventually(AMPLE, "it is too old", || {
        gateway.publish(EVENTS, RECORD).status == 503
    });
    let reasons = gateway.admin("/readyz?sinks").expect(503).text();
    assert!(
        reasons.contains("the journal takes no records"),
        "{reasons}"
    );
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    sink.set("events", Behaviour::Deliver);
    eventually(AMPLE, "service is back", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    await_no_backlog(&gateway);
}
