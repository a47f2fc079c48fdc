//! The limits of a body: its bytes, its records, its time and its rate.

use std::time::Duration;

use iem_test_support::frames::{DATA, Frame, HEADERS};
use iem_test_support::{Frames, Gateway, Home, encoded, post};

use super::{EVENTS, HEALTHCHECK, RECORD, SOON, both};

const LATE: &str = r#"{"message":"The body did not arrive in time, try again"}"#;

#[test]
fn more_bytes_or_records_than_the_limit_are_413() {
    let home = Home::new()
        .set("server.max_body", "64 KiB")
        .set("topics.events.queue_records", 4);
    let gateway = home.set("topics.events.batch_records", 1).start();
    let token = gateway.token("alice");
    let padded = |length: usize| format!("{RECORD}{}", " ".repeat(length - RECORD.len()));
    let many = |count: usize| format!("[{}]", vec![RECORD; count].join(","));
    for (limit, good, bad) in [
        ("body_size", padded(65_536), padded(65_537)),
        ("records", many(4), many(5)),
    ] {
        for answer in both(&gateway, &post(EVENTS, good).cookie(&token)) {
            answer.expect(200);
        }
        for answer in both(&gateway, &post(EVENTS, bad).cookie(&token)) {
            assert!(!answer.expect(413).message().is_empty());
        }
        gateway.await_reached(limit, 2);
    }
    // As decoded, too.
    let packed = encoded("gzip", padded(65_537).as_bytes());
    let request = post(EVENTS, packed)
        .cookie(&token)
        .header("Content-Encoding", "gzip");
    gateway.send(&request).expect(413);
    gateway.await_reached("body_size", 3);
}

#[test]
fn a_body_whose_tape_would_exceed_the_memory_is_published() {
    // Numbers of 0.9 MB, of which simd-json's tape would take 28 MB.
    let gateway = Home::new().with_little_memory().start();
    let dense = format!(
        r#"{{"envcustomerid":"acme","entityid":"web-01","values":[{}1]}}"#,
        "1,".repeat(450_000)
    );
    let lines = format!("{dense}\n{RECORD}");
    let token = gateway.token("alice");
    for answer in both(&gateway, &post(EVENTS, &*dense).cookie(&token)) {
        answer.expect(200);
    }
    for answer in both(&gateway, &post(EVENTS, format!("[{dense}]")).cookie(&token)) {
        answer.expect(200);
    }
    let lines = post(EVENTS, lines).header("Content-Type", "application/x-ndjson");
    for answer in both(&gateway, &lines.cookie(&token)) {
        answer.expect(200);
    }
}

/// Begins a body over each version, sends no more of it, and expects to be told so.
fn expect_late(gateway: &Gateway) {
    let cookie = format!("access_token={}", gateway.token("alice"));
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut slow = gateway.connect();
        let request = post(EVENTS, "").header("Cookie", &cookie);
        slow.send(request.head(framing) + "1\r\n{\r\n");
        let answer = slow.answer().expect(503).says_when_to_retry().body_is(LATE);
        assert_eq!(
            answer
                .header("connection")
                .map(str::to_lowercase)
                .as_deref(),
            Some("close"),
            "{answer:?}"
        );
        assert!(slow.ends(SOON));
    }
    let mut slow = Frames::open(gateway.address, &[]);
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", EVENTS),
        ("cookie", &*cookie),
    ];
    slow.send(&Frame::headers(1, &head, false))
        .expect("the gateway reads");
    slow.send(&Frame::new(DATA, 0, 1, "{"))
        .expect("the gateway reads");
    assert_eq!(slow.find(HEADERS).stream, 1);
    assert_eq!(slow.find(DATA).payload, LATE.as_bytes());
    slow.send(&Frame::headers(
        3,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", HEALTHCHECK),
        ],
        true,
    ))
    .expect("the connection stays");
    assert_eq!(slow.find(HEADERS).stream, 3);
}

#[test]
fn a_body_that_takes_too_long_is_503() {
    let gateway = Home::new().set("server.body_timeout", "1s").start();
    expect_late(&gateway);
    gateway.await_reached("body_time", 3);
    assert_eq!(gateway.reached("body_rate"), 0);
}

#[test]
fn a_body_below_the_rate_is_503() {
    let gateway = Home::new().set("server.body_timeout", "1m").start();
    expect_late(&gateway);
    gateway.await_reached("body_rate", 3);
    assert_eq!(gateway.reached("body_time"), 0);
}

#[test]
fn a_body_that_keeps_the_rate_has_its_whole_time() {
    let gateway = Home::new()
        .set("server.body_timeout", "1m")
        .set("server.body_rate", "100 B")
        .start();
    let token = gateway.token("alice");
    let mut steady = gateway.connect();
    let request = post(EVENTS, "").cookie(&token);
    steady.send(request.head("Content-Length: 8000") + RECORD);
    // Ten times the rate, for longer than the grace.
    let mut left = 8000 - RECORD.len();
    while left > 0 {
        let piece = left.min(1000);
        std::thread::sleep(Duration::from_secs(1));
        steady.send(" ".repeat(piece));
        left -= piece;
    }
    steady.answer().expect(200);
    assert_eq!(
        (gateway.reached("body_rate"), gateway.reached("body_time")),
        (0, 0)
    );
}
