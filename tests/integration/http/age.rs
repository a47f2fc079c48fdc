//! Connections beyond their greatest age: the next answer is the last one, and nothing that was
//! begun is lost.

use std::thread;
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::frames::{DATA, Frame, GOAWAY, HEADERS};
use iem_test_support::{Frames, Home, post};

const EVENTS: &str = "/publish/allevents/";
const HEALTHCHECK: &str = "/publish/healthcheck/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const SOON: Duration = Duration::from_secs(10);
/// Longer than the greatest age of [`home`], with its tenth more.
const OLD: Duration = Duration::from_millis(2400);

fn home() -> Home {
    Home::new().set("server.max_connection_age", "2s")
}

#[test]
fn over_http_1_1_the_next_answer_says_that_the_connection_ends() {
    let gateway = home().start();
    let publish = post(EVENTS, RECORD).cookie(&gateway.token("alice")).bytes();
    let mut connection = gateway.connect();
    let answer = connection.send(&publish).answer().expect(200);
    assert_eq!(answer.header("connection"), None);
    thread::sleep(OLD);
    assert!(connection.is_quiet(), "it stays while it is idle");
    let answer = connection.send(&publish).answer().expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.ends(SOON));
    assert_eq!(gateway.home.records("events").len(), 2);
}

/// Sends the head and the body of an event on this stream.
fn publish(frames: &mut Frames, stream: u32, cookie: &str) {
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", EVENTS),
        ("cookie", cookie),
    ];
    for frame in [
        Frame::headers(stream, &head, false),
        Frame::new(DATA, 1, stream, RECORD),
    ] {
        frames.send(&frame).expect("the gateway reads");
    }
}

#[test]
fn over_http2_the_next_request_is_answered_and_the_client_told_to_go() {
    let sink = ScriptedSink::new();
    let gateway = home().start_with(&sink);
    let cookie = format!("access_token={}", gateway.token("alice"));
    let mut frames = Frames::open(gateway.address, &[]);
    publish(&mut frames, 1, &cookie);
    assert_eq!(frames.find(DATA).payload, PUBLISHED.as_bytes());
    thread::sleep(OLD);
    let head = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", HEALTHCHECK),
    ];
    let mut young = Frames::open(gateway.address, &[]);
    young
        .send(&Frame::headers(1, &head, true))
        .expect("the gateway reads");
    assert_eq!(young.find(HEADERS).stream, 1);

    sink.set("events", Behaviour::Stall);
    publish(&mut frames, 3, &cookie);
    assert_eq!(frames.find(GOAWAY).error_code(), 0);
    sink.wait_for("events", |log| log.waiting == 1);
    sink.set("events", Behaviour::Deliver);
    assert_eq!(frames.find(HEADERS).stream, 3);
    assert_eq!(frames.find(DATA).payload, PUBLISHED.as_bytes());
    assert!(frames.end().iter().all(|code| *code == 0));
    young
        .send(&Frame::headers(3, &head, true))
        .expect("the gateway reads");
    assert_eq!(young.find(HEADERS).stream, 3);
}
