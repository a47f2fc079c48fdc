//! Each limit at its bound and one beyond, over both versions of HTTP: the answer, or the end, and
//! what is counted.

mod bodies;
mod connections;
mod heads;

use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_test_support::frames::Frame;
use iem_test_support::{Answer, Connection, Frames, Gateway, Home, Request, get, post};

const EVENTS: &str = "/publish/allevents/";
const HEALTHCHECK: &str = "/publish/healthcheck/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const SOON: Duration = Duration::from_secs(20);
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The same request over each version: the limits are the same.
fn both(gateway: &Gateway, request: &Request) -> [Answer; 2] {
    [gateway.send(request), gateway.http2().send(request.bytes())]
}

#[test]
fn every_limit_is_counted_from_the_start() {
    let gateway = Home::new().start();
    for limit in [
        "connections",
        "evicted",
        "connections_per_peer",
        "proxy_header",
        "handshake_time",
        "header_size",
        "header_count",
        "header_time",
        "uri",
        "idle",
        "body_size",
        "body_time",
        "body_rate",
        "request_time",
        "write_time",
        "records",
        "memory",
        "queue",
        "readers",
        "logins",
        "logins_waiting",
        "quota",
        "http2_connections",
        "http2_requests",
        "http2_abuse",
    ] {
        assert_eq!(gateway.reached(limit), 0, "{limit}");
    }
}

/// Sends requests until the gateway stops reading from one who reads no answer.
fn without_reading(gateway: &Gateway) -> Connection {
    let mut client = gateway.connect();
    client.set_patience(Duration::from_millis(500));
    let many = get(HEALTHCHECK).bytes().repeat(1000);
    let mut pieces = 0;
    while client.try_send(&many).is_ok() {
        pieces += 1;
        assert!(pieces < 10_000, "answers pile up without end");
    }
    client
}

#[test]
fn an_answer_that_is_not_taken_ends_the_connection_in_time() {
    let gateway = Home::new().set("server.write_timeout", "1s").start();
    let _client = without_reading(&gateway);
    gateway.await_reached("write_time", 1);
    assert_eq!(gateway.reached("request_time"), 0);
}

#[test]
fn a_request_has_to_be_answered_in_time_as_a_whole() {
    let gateway = Home::new()
        .with_short_times()
        .set("server.write_timeout", "10m")
        .start();
    let _client = without_reading(&gateway);
    // Over HTTP/2 a client that gives no window takes nothing.
    let mut frames = Frames::open(gateway.address, &[(INITIAL_WINDOW_SIZE, 0)]);
    let head = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", HEALTHCHECK),
    ];
    frames
        .send(&Frame::headers(1, &head, true))
        .expect("the gateway reads");
    gateway.await_reached("request_time", 2);
    assert_eq!(gateway.reached("write_time"), 0);
    assert!(gateway.connect().is_usable());
}

#[test]
fn a_full_queue_and_an_exceeded_quota_are_counted() {
    let sink = ScriptedSink::new();
    let home = Home::new()
        .set("topics.events.queue_records", 1)
        .set("topics.events.batch_records", 1);
    let gateway = home.start_with(&sink);
    let token = gateway.token("alice");
    sink.set("events", Behaviour::Stall);
    let mut first = gateway.connect();
    first.send(post(EVENTS, RECORD).cookie(&token).bytes());
    sink.wait_for("events", |log| log.waiting == 1);
    for answer in both(&gateway, &post(EVENTS, RECORD).cookie(&token)) {
        assert!(answer.expect(503).header("retry-after").is_some());
    }
    gateway.await_reached("queue_share", 2);
    sink.set("events", Behaviour::Deliver);
    first.answer().expect(200);

    let gateway = Home::new().set("quota.records", 1).start();
    let two = format!("[{RECORD},{RECORD}]");
    gateway
        .publish(EVENTS, two)
        .expect(429)
        .says_when_to_retry();
    gateway.await_reached("quota", 1);
}

#[test]
fn failed_logins_beyond_the_limit_are_429() {
    let gateway = Home::new().set("login.failures_per_user", 2).start();
    for status in [401, 401, 429, 429] {
        gateway.log_in("alice@acme.example", "wrong").expect(status);
    }
    gateway.await_reached("logins", 2);
}

#[test]
fn more_waiting_logins_than_the_limit_are_503() {
    // A hash of so much work that few end in the time that a login waits, which nobody has the
    // password of.
    let slow =
        "$argon2id$v=19$m=65536,t=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let home = Home::new()
        .set("login.failures_per_user", 100)
        .edit_directory(|text| {
            let (before, rest) = text
                .split_once("email = \"alice@acme.example\"")
                .expect("a user");
            let (_, behind) = rest
                .split_once("superadmin")
                .expect("fields behind the password");
            format!(
                "{before}email = \"alice@acme.example\"\nname = \"Alice\"\n\
             password = \"{slow}\"\nsuperadmin{behind}"
            )
        });
    let gateway = home.start();
    let answers = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| gateway.log_in("alice@acme.example", "wrong")))
            .collect();
        logins
            .into_iter()
            .map(|login| login.join().expect("an answer"))
            .collect::<Vec<_>>()
    });
    let (busy, wrong): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 503);
    assert!(
        !busy.is_empty() && !wrong.is_empty(),
        "{} of 32 told to wait",
        busy.len()
    );
    for answer in wrong {
        answer.expect(401);
    }
    gateway.await_reached("logins_waiting", busy.len() as u64);
    for answer in busy {
        assert_eq!(
            answer.says_when_to_retry().json()["detail"],
            "Too many logins at once, try again later."
        );
    }
}
