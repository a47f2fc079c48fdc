//! Full, stalled, failing and panicking: a scripted sink in the place of the files. Full is an
//! answer, at once; late is an answer, inside the deadline; and the other topics do not notice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_sink::{Reason, SinkError};

use iem_test_support::{Connection, Gateway, Home, eventually, post};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

/// Far above what an answer that waits for nothing takes, and below the deadline of the topics
/// here.
const AT_ONCE: Duration = Duration::from_secs(5);

fn with_sink(home: &Home) -> (ScriptedSink, Gateway) {
    let sink = ScriptedSink::new();
    let gateway = home.start_with(&sink);
    (sink, gateway)
}

/// Sends `count` events on connections of their own, and reads no answer.
fn send_without_reading(gateway: &Gateway, token: &str, count: usize) -> Vec<Connection> {
    let request = post(EVENTS, RECORD).cookie(token).bytes();
    let mut connections: Vec<_> = (0..count).map(|_| gateway.connect()).collect();
    for connection in &mut connections {
        connection.send(&request);
    }
    connections
}

#[test]
fn a_queue_full_of_records_answers_503_at_once() {
    let home = Home::new()
        .set("topics.events.queue_records", 4)
        .set("topics.events.batch_records", 1);
    let (sink, gateway) = with_sink(&home);
    let token = gateway.token("alice");
    sink.set("events", Behaviour::Stall);
    let mut waiting = send_without_reading(&gateway, &token, 4);
    eventually(AT_ONCE, "the queue fills", || {
        (gateway.metric("iem_gateway_queue_records", &["events"]) - 4.0).abs() < 1e-9
    });
    for _ in 0..10 {
        let begin = Instant::now();
        let answer = gateway
            .publish(EVENTS, RECORD)
            .expect(503)
            .says_when_to_retry();
        assert!(!answer.message().is_empty());
        assert!(
            begin.elapsed() < AT_ONCE,
            "at once, not after {:?}",
            begin.elapsed()
        );
    }
    gateway.publish("/publish/metrics/", RECORD).expect(200);

    sink.set("events", Behaviour::Deliver);
    for connection in &mut waiting {
        connection.answer().expect(200);
    }
    gateway.publish(EVENTS, RECORD).expect(200);
    assert_eq!(
        sink.log("events").delivered.len(),
        5,
        "what was refused was not written"
    );
}

#[test]
fn a_queue_full_of_bytes_answers_503_at_once() {
    let home = Home::new().set("server.max_body", "64 KiB");
    let home = home
        .set("topics.events.queue_bytes", "64 KiB")
        .set("topics.events.batch_bytes", "64 KiB");
    let (sink, gateway) = with_sink(&home);
    let token = gateway.token("alice");
    sink.set("events", Behaviour::Stall);
    let large = format!("{RECORD}{}", " ".repeat(40_000));
    let mut waiting = gateway.connect();
    waiting.send(post(EVENTS, &*large).cookie(&token).bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    gateway
        .publish(EVENTS, large)
        .expect(503)
        .says_when_to_retry();
    sink.set("events", Behaviour::Deliver);
    waiting.answer().expect(200);
}

#[test]
fn a_stalled_topic_answers_503_inside_its_deadline_and_holds_up_no_other() {
    let (sink, gateway) = with_sink(&Home::new().set("topics.events.deadline", "1s"));
    sink.set("events", Behaviour::Stall);
    let token = gateway.token("alice");
    let mut waiting = send_without_reading(&gateway, &token, 8);
    sink.wait_for("events", |log| log.waiting == 1);
    for path in [
        "/publish/metrics/",
        "/publish/entity/",
        "/publish/service/",
        "/publish/healthcheck/",
    ] {
        gateway.publish(path, RECORD).expect(200);
    }
    for connection in &mut waiting {
        connection.answer().expect(503).says_when_to_retry();
    }
    sink.set("events", Behaviour::Deliver);
    eventually(AT_ONCE, "the topic flows again", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
}

#[test]
fn records_that_wait_hold_no_more_memory_than_their_bytes() {
    let (sink, gateway) = with_sink(&Home::new());
    sink.set("events", Behaviour::Stall);
    let token = gateway.token("alice");
    // Small, and of no declared length: each is read into a buffer far larger than itself.
    let head = post(EVENTS, "")
        .cookie(&token)
        .head("Transfer-Encoding: chunked");
    let mut waiting: Vec<_> = (0..200).map(|_| gateway.connect()).collect();
    for connection in &mut waiting {
        connection.send(format!("{head}{:x}\r\n{RECORD}\r\n0\r\n\r\n", RECORD.len()));
    }
    eventually(AT_ONCE, "all wait", || {
        gateway.metric("iem_gateway_queue_records", &["events"]) >= 200.0
    });
    let counted = gateway.metric("iem_gateway_memory_bytes", &[]);
    assert!(
        counted < 200.0 * 1024.0,
        "200 records of {} bytes hold {counted} bytes",
        RECORD.len()
    );
    gateway.publish("/publish/metrics/", RECORD).expect(200);
    sink.set("events", Behaviour::Deliver);
    for connection in &mut waiting {
        connection.answer().expect(200);
    }
}

#[test]
fn a_sink_that_overruns_its_deadline_does_not_hold_the_answer() {
    let (sink, gateway) = with_sink(&Home::new().set("topics.events.deadline", "500ms"));
    sink.set("events", Behaviour::StallPastDeadline);
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    gateway.publish("/publish/metrics/", RECORD).expect(200);
    sink.set("events", Behaviour::Deliver);
    eventually(AT_ONCE, "the topic flows again", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
}

#[test]
fn a_panic_in_the_sink_is_never_a_200_and_later_records_flow() {
    let (sink, gateway) = with_sink(&Home::new().set("topics.events.deadline", "500ms"));
    for round in 0..3 {
        sink.set("events", Behaviour::Panic);
        gateway
            .publish(EVENTS, RECORD)
            .expect(503)
            .says_when_to_retry();
        gateway.publish("/publish/metrics/", RECORD).expect(200);
        sink.set("events", Behaviour::Deliver);
        eventually(AT_ONCE, "later records flow", || {
            gateway.publish(EVENTS, RECORD).status == 200
        });
        assert_eq!(
            sink.log("events").delivered.len(),
            round + 1,
            "only what was answered 200 was delivered"
        );
    }
}

#[test]
fn a_record_that_the_sink_will_never_take_is_413() {
    let (sink, gateway) = with_sink(&Home::new());
    sink.set(
        "events",
        Behaviour::Reject(
            Arc::new(|record| record.data.len() > 100),
            Reason::TooLarge { limit: 100 },
        ),
    );
    let large = format!(r#"{{"envcustomerid":"acme","a":"{}"}}"#, "x".repeat(200));
    let answer = gateway.publish(EVENTS, large).expect(413);
    assert!(!answer.message().is_empty());
    assert_eq!(
        answer.json()["rejected"],
        serde_json::json!([0]),
        "{answer:?}"
    );
    assert_eq!(
        answer.json().as_object().unwrap().len(),
        2,
        "message and rejected: {answer:?}"
    );
    assert_eq!(
        answer.header("retry-after"),
        None,
        "sending it again will not help"
    );
    gateway.publish(EVENTS, RECORD).expect(200);
    assert_eq!(sink.log("events").delivered.len(), 1);
}

#[test]
fn a_fault_that_passes_is_retried_and_the_client_sees_nothing_of_it() {
    let (sink, gateway) = with_sink(&Home::new());
    for _ in 0..3 {
        sink.once("events", Behaviour::Fail(SinkError::transient("scripted")));
    }
    gateway.publish(EVENTS, RECORD).expect(200);
    let log = sink.log("events");
    assert_eq!((log.delivered.len(), log.batches.len()), (1, 4));
}

#[test]
fn a_fault_that_stays_is_503_and_nothing_is_written_later() {
    let (sink, gateway) = with_sink(&Home::new().set("topics.events.deadline", "500ms"));
    sink.set(
        "events",
        Behaviour::Fail(SinkError::transient("scripted, secret-of-the-sink")),
    );
    let answer = gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    assert!(
        !answer.text().contains("secret-of-the-sink"),
        "no innards in an answer: {answer:?}"
    );
    sink.set("events", Behaviour::Deliver);
    eventually(AT_ONCE, "the topic flows again", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    let delivered = sink.log("events").delivered.len();
    let answered = 1;
    assert_eq!(
        delivered, answered,
        "what was answered 503 long ago is not written after all"
    );
}

#[test]
fn records_wait_no_longer_than_their_deadline_behind_others() {
    let home = Home::new()
        .set("topics.events.deadline", "1s")
        .set("topics.events.batch_records", 1);
    let (sink, gateway) = with_sink(&home);
    sink.set("events", Behaviour::Stall);
    let token = gateway.token("alice");
    let begin = Instant::now();
    let mut waiting = send_without_reading(&gateway, &token, 6);
    for connection in &mut waiting {
        connection.answer().expect(503);
    }
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "not one deadline after another: {:?}",
        begin.elapsed()
    );
}

#[test]
fn bodies_beyond_the_memory_of_a_user_are_503_at_once() {
    let gateway = Home::new().with_little_memory().start();
    let token = gateway.token("alice");
    let begin_of_body = post(EVENTS, "")
        .cookie(&token)
        .head("Content-Length: 1048576")
        + "{";
    let large = || format!("{RECORD}{}", " ".repeat(1_000_000));
    // Bodies that have begun, most of each already here, one more each time until another finds no
    // room.
    let (mut held, mut last) = (Vec::new(), None);
    eventually(AT_ONCE, "the user's share is full", || {
        let mut connection = gateway.connect();
        connection.send(&begin_of_body).send(vec![b' '; 1_000_000]);
        held.push(connection);
        last = Some(gateway.publish(EVENTS, large()));
        last.as_ref().is_some_and(|answer| answer.status == 503)
    });
    last.expect("an answer").says_when_to_retry();
    assert!(gateway.reached("memory_share") >= 1);
    drop(held);
    eventually(AT_ONCE, "room again", || {
        gateway.publish(EVENTS, large()).status == 200
    });
}
