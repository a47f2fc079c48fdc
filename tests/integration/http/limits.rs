//! Each limit at its bound and one beyond, over both versions of HTTP: the answer, or the end, and
//! what is counted.

use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};

use crate::harness::frames::{DATA, Frame, Frames, GOAWAY, HEADERS, SETTINGS};
use crate::harness::{
    Answer, Authority, Connection, Curl, Gateway, Home, Request, SecureClient, eventually, get,
    post,
};

const EVENTS: &str = "/publish/allevents/";
const HEALTHCHECK: &str = "/publish/healthcheck/";
const RUNNING: &str = r#"{"message":"API is running"}"#;
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const LATE: &str = r#"{"message":"The body did not arrive in time, try again"}"#;
const SOON: Duration = Duration::from_secs(20);
const HTTP_1_1_REQUIRED: u32 = 13;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The same request over each version: the limits are the same.
fn both(gateway: &Gateway, request: &Request) -> [Answer; 2] {
    [gateway.send(request), gateway.http2().send(request.bytes())]
}

fn with_headers(count: usize) -> Request {
    // `Host` is one.
    (1..count).fold(get(HEALTHCHECK), |request, number| {
        request.header(&format!("x-{number}"), "x")
    })
}

fn with_target(length: usize) -> Request {
    let target = format!(
        "{HEALTHCHECK}?{}",
        "x".repeat(length - HEALTHCHECK.len() - 1)
    );
    get(&target)
}

#[test]
fn all_are_counted_from_the_start() {
    let gateway = Home::new().start();
    for limit in [
        "connections",
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

#[test]
fn headers_of_a_request() {
    let gateway = Home::new().set("server.max_headers", 20).start();
    gateway.send(&with_headers(20)).expect(200);
    // Over HTTP/2 `Host` is no header.
    gateway.http2().send(with_headers(21).bytes()).expect(200);
    for answer in both(&gateway, &with_headers(22)) {
        let message = answer.expect(431).message();
        assert_eq!(
            message,
            "The request has more than the 20 headers that are taken"
        );
    }
    gateway.await_reached("header_count", 2);
    let mut connection = gateway.connect();
    connection
        .send(with_headers(21).bytes())
        .answer()
        .expect(431);
    assert!(connection.is_usable());
    assert!(gateway.metric("iem_gateway_requests_total", &["status=\"431\""]) > 2.5);
}

#[test]
fn more_headers_than_the_library_makes_room_for() {
    for (home, most) in [
        (Home::new(), 100),
        (Home::new().set("server.max_headers", 150), 150),
    ] {
        let gateway = home.start();
        gateway.send(&with_headers(most)).expect(200);
        gateway.send(&with_headers(most + 1)).expect(431);
        gateway.await_reached("header_count", 1);
        let [.., answer] = both(&gateway, &with_headers(most + 2));
        assert_eq!(
            answer.message(),
            format!("The request has more than the {most} headers that are taken")
        );
        gateway.await_reached("header_count", 3);
        assert_eq!(gateway.reached("header_size"), 0);
    }
}

#[test]
fn bytes_of_a_path_and_its_query() {
    for (home, most) in [
        (Home::new(), 8192),
        (Home::new().set("server.max_uri", "1 KiB"), 1024),
    ] {
        let gateway = home.start();
        for answer in both(&gateway, &with_target(most)) {
            answer.expect(200).body_is(RUNNING);
        }
        for answer in both(&gateway, &with_target(most + 1)) {
            let message = answer.expect(414).message();
            assert_eq!(
                message,
                format!("The path and its query are longer than the {most} bytes that are taken")
            );
        }
        gateway.await_reached("uri", 2);
        let mut connection = gateway.connect();
        connection
            .send(with_target(most + 1).bytes())
            .answer()
            .expect(414);
        assert!(connection.is_usable());
    }
}

#[test]
fn a_target_that_the_library_refuses_by_itself() {
    let gateway = Home::new().set("server.max_header", "128 KiB").start();
    gateway.send(&with_target(70_000)).expect(414);
    gateway.await_reached("uri", 1);
}

#[test]
fn bytes_of_a_head() {
    let gateway = Home::new().set("server.max_header", "8 KiB").start();
    let of = |length: usize| {
        let bare = get(HEALTHCHECK).header("x", "").bytes().len();
        get(HEALTHCHECK).header("x", &"x".repeat(length - bare))
    };
    gateway.send(&of(8192)).expect(200);
    gateway.send(&of(8193)).expect(431);
    gateway.await_reached("header_size", 1);
    // The library answers by itself, and says nothing of it.
    gateway.http2().send(of(8193).bytes()).expect(431);
    assert_eq!(
        (
            gateway.reached("header_size"),
            gateway.reached("header_count")
        ),
        (1, 0)
    );
}

#[test]
fn the_time_of_a_head() {
    let gateway = Home::new().set("server.header_timeout", "1s").start();
    let mut slow = gateway.connect();
    slow.send("GET / HTTP/1.1\r\n");
    assert!(slow.ends(SOON));
    gateway.await_reached("header_time", 1);
    Frames::open(gateway.address, &[]).end();
    gateway.await_reached("header_time", 2);
}

#[test]
fn the_time_of_a_handshake() {
    let home = Home::new().with_tls(&Authority::new("authority").gateway());
    let gateway = home.set("server.header_timeout", "1s").start();
    let _silent = TcpStream::connect(gateway.address).expect("a connection");
    gateway.await_reached("handshake_time", 1);
}

#[test]
fn bytes_of_a_body_and_records_of_a_request() {
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
    let packed = crate::harness::encoded("gzip", padded(65_537).as_bytes());
    let request = post(EVENTS, packed)
        .cookie(&token)
        .header("Content-Encoding", "gzip");
    gateway.send(&request).expect(413);
    gateway.await_reached("body_size", 3);
}

/// Begins a body over each version, sends no more of it, and expects to be told so.
fn expect_late(gateway: &Gateway) {
    let cookie = format!("access_token={}", gateway.token("alice"));
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut slow = gateway.connect();
        slow.send(format!(
            "POST {EVENTS} HTTP/1.1\r\nHost: gateway\r\nCookie: {cookie}\r\n{framing}\r\n\r\n1\r\n{{\r\n"
        ));
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
fn the_time_of_a_body() {
    let gateway = Home::new().set("server.body_timeout", "1s").start();
    expect_late(&gateway);
    gateway.await_reached("body_time", 3);
    assert_eq!(gateway.reached("body_rate"), 0);
}

#[test]
fn the_rate_of_a_body() {
    let gateway = Home::new().set("server.body_timeout", "1m").start();
    expect_late(&gateway);
    gateway.await_reached("body_rate", 3);
    assert_eq!(gateway.reached("body_time"), 0);
}

#[test]
fn a_body_that_keeps_its_rate_has_its_time() {
    let gateway = Home::new()
        .set("server.body_timeout", "1m")
        .set("server.body_rate", "100 B")
        .start();
    let token = gateway.token("alice");
    let mut steady = gateway.connect();
    steady.send(format!(
        "POST {EVENTS} HTTP/1.1\r\nHost: gateway\r\nCookie: access_token={token}\r\nContent-Length: 8000\r\n\r\n{RECORD}"
    ));
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

/// Sends requests until the gateway stops reading from one who reads no answer.
fn deaf(gateway: &Gateway) -> Connection {
    let mut deaf = gateway.connect();
    deaf.set_patience(Duration::from_millis(500));
    let many = get(HEALTHCHECK).bytes().repeat(1000);
    let mut pieces = 0;
    while deaf.try_send(&many).is_ok() {
        pieces += 1;
        assert!(pieces < 10_000, "answers pile up without end");
    }
    deaf
}

#[test]
fn the_time_of_an_answer_that_is_not_taken() {
    let gateway = Home::new().set("server.write_timeout", "1s").start();
    let _deaf = deaf(&gateway);
    gateway.await_reached("write_time", 1);
    assert_eq!(gateway.reached("request_time"), 0);
}

#[test]
fn the_time_from_a_request_to_its_answers_end() {
    let gateway = Home::new()
        .with_short_times()
        .set("server.write_timeout", "10m")
        .start();
    let _deaf = deaf(&gateway);
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
fn connections_in_all() {
    let gateway = Home::new().set("server.max_connections", 2).start();
    let held = [gateway.connect(), gateway.connect()].map(|mut connection| {
        assert!(connection.is_usable());
        connection
    });
    let answer = gateway.connect().answer().expect(503).says_when_to_retry();
    assert_eq!(answer.message(), "Too many connections, try again later");
    gateway.await_reached("connections", 1);
    drop(held);
    eventually(SOON, "room for another", || gateway.connect().is_usable());
}

#[test]
fn connections_of_a_peer() {
    let gateway = Home::new()
        .set("server.max_connections_per_peer", 2)
        .start();
    let from = |last: u8| Connection::from_peer(gateway.address, IpAddr::from([127, 0, 0, last]));
    let held = [from(2), from(2)].map(|mut connection| {
        assert!(connection.is_usable());
        connection
    });
    let answer = from(2).answer().expect(503).says_when_to_retry();
    assert_eq!(answer.message(), "Too many connections, try again later");
    gateway.await_reached("connections_per_peer", 1);
    assert_eq!(gateway.reached("connections"), 0);
    assert!(from(3).is_usable(), "another peer does not notice");
    drop(held);
    eventually(SOON, "room for another", || from(2).is_usable());
}

#[test]
fn a_queue_and_a_quota() {
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
    gateway.await_reached("queue", 2);
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
fn failed_logins() {
    let gateway = Home::new().set("login.failures_per_user", 2).start();
    for status in [401, 401, 429, 429] {
        gateway.log_in("alice@acme.example", "wrong").expect(status);
    }
    gateway.await_reached("logins", 2);
}

#[test]
fn logins_that_wait() {
    // A hash of so much work that few end in the time that a login waits, which nobody has the
    // password of.
    let slow =
        "$argon2id$v=19$m=65536,t=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let home = Home::new().set("login.failures_per_user", 100).edit_directory(|text| {
        let (before, rest) = text.split_once("email = \"alice@acme.example\"").expect("a user");
        let (_, behind) = rest.split_once("superadmin").expect("fields behind the password");
        format!("{before}email = \"alice@acme.example\"\nname = \"Alice\"\npassword = \"{slow}\"\nsuperadmin{behind}")
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

#[test]
fn connections_over_http2_by_prior_knowledge() {
    let gateway = Home::new().set("server.http2.max_connections", 1).start();
    let mut first = Frames::open(gateway.address, &[]);
    first.find(SETTINGS);
    let mut second = Frames::open(gateway.address, &[]);
    assert_eq!(second.find(GOAWAY).error_code(), HTTP_1_1_REQUIRED);
    assert!(second.end().is_empty());
    gateway.await_reached("http2_connections", 1);
    assert!(gateway.connect().is_usable());
    drop(first);
    eventually(SOON, "room for another", || {
        let mut frames = Frames::open(gateway.address, &[]);
        let head = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", HEALTHCHECK),
        ];
        frames.send(&Frame::headers(1, &head, true)).is_ok()
            && std::iter::from_fn(|| frames.next().ok()).any(|frame| frame.kind == HEADERS)
    });
}

#[test]
fn connections_over_http2_by_alpn() {
    let authority = Authority::new("authority");
    let home = Home::new()
        .with_tls(&authority.gateway())
        .set("server.http2.max_connections", 1);
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let version = || {
        let url = format!("https://{}{HEALTHCHECK}", gateway.address);
        Curl::new(&home, "ca.pem")
            .arg("--http2")
            .arg(url)
            .answer()
            .expect(200)
            .version
    };
    eventually(SOON, "HTTP/2 is offered", || version() == "HTTP/2");
    let mut held = None;
    eventually(SOON, "HTTP/1.1 has to do", || {
        // One that came before the place of the connection before it was free is offered HTTP/1.1
        // itself.
        held = None;
        held = Some(SecureClient::open(
            &home,
            gateway.address,
            "ca.pem",
            &["-alpn", "h2"],
        ));
        version() == "HTTP/1.1"
    });
    assert!(gateway.reached("http2_connections") >= 1);
    drop(held);
    eventually(SOON, "HTTP/2 is offered again", || version() == "HTTP/2");
}
