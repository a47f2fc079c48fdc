//! HTTP/2 as its clients speak it: by prior knowledge and by ALPN, many requests on a connection,
//! and the end of one.

use std::time::Duration;

use iem_sink::testing::{Behaviour, ScriptedSink};

use iem_test_support::Frames;
use iem_test_support::frames::{DATA, Frame, GOAWAY, HEADERS, SETTINGS};
use iem_test_support::{Authority, Curl, Home, eventually, get, post};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const SOON: Duration = Duration::from_secs(10);

#[test]
fn curl_is_served_by_prior_knowledge_and_by_alpn() {
    let authority = Authority::new("authority");
    let plain = Home::new().start();
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    let secure = home.start();
    for (gateway, scheme, option) in [
        (&plain, "http", "--http2-prior-knowledge"),
        (&secure, "https", "--http2"),
    ] {
        gateway.home.write("ca.pem", authority.pem());
        let url = |path: &str| format!("{scheme}://{}{path}", gateway.address);
        let curl = || Curl::new(&gateway.home, "ca.pem").arg(option);
        let login = curl().args(&["-X", "POST", "-u", "alice@acme.example:alice-password"]);
        let token = login
            .arg(url("/api/v1/user/token"))
            .answer()
            .expect(200)
            .access_token();
        let cookie = format!("Cookie: access_token={token}");
        let answer = curl()
            .args(&["-H", &cookie, "-d", RECORD])
            .arg(url(EVENTS))
            .answer()
            .expect(200);
        assert_eq!((&*answer.version, &*answer.text()), ("HTTP/2", PUBLISHED));
        let answer = curl()
            .arg("--head")
            .arg(url("/publish/healthcheck/"))
            .answer()
            .expect(200);
        assert_eq!(answer.version, "HTTP/2");
        assert_eq!(gateway.home.records("events").len(), 1);
    }
}

#[test]
fn http2_can_be_switched_off() {
    let gateway = Home::new().set("server.http2.enabled", false).start();
    let mut frames = Frames::open(gateway.address, &[]);
    assert!(
        frames.receive().is_err() || frames.end().is_empty(),
        "no frame of HTTP/2 is answered"
    );
    assert!(gateway.connect().is_usable());
}

#[test]
fn many_requests_at_once_on_one_connection_are_answered() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let client = gateway.http2();
    let good = post(EVENTS, RECORD).cookie(&token).bytes();
    let refused = post(EVENTS, RECORD).bytes();
    let requests: Vec<_> = [good, refused].into_iter().cycle().take(60).collect();
    for (index, answer) in client.send_all(&requests).into_iter().enumerate() {
        let answer = answer.expect(if index % 2 == 0 { 200 } else { 401 });
        assert_eq!(answer.header("connection"), None, "{answer:?}");
    }
    assert_eq!(gateway.home.records("events").len(), 30);
}

#[test]
fn a_body_may_be_larger_than_the_windows_but_not_than_the_limit() {
    let gateway = Home::new().set("server.max_body", "2 MiB").start();
    let token = gateway.token("alice");
    let client = gateway.http2();
    let of = |length: usize| {
        let body = format!(
            r#"{{"envcustomerid":"acme","padding":"{}"}}"#,
            "x".repeat(length)
        );
        post(EVENTS, body).cookie(&token).bytes()
    };
    client.send(of(1 << 20)).expect(200);
    client.send(of(3 << 20)).expect(413);
    client.send(of(100)).expect(200);
    assert_eq!(gateway.home.records("events").len(), 2);
}

#[test]
fn an_early_rejection_ends_its_stream_alone() {
    let gateway = Home::new().start();
    let client = gateway.http2();
    for _ in 0..20 {
        client
            .send(post(EVENTS, vec![b'x'; 1 << 20]).bytes())
            .expect(401);
        client
            .send(get("/publish/healthcheck/").bytes())
            .expect(200);
    }
}

#[test]
fn a_head_beyond_the_limit_is_431_and_the_connection_stays() {
    let gateway = Home::new().set("server.max_header", "8 KiB").start();
    let client = gateway.http2();
    let long = get("/publish/healthcheck/").header("x-long", &"x".repeat(12 * 1024));
    assert_eq!(client.send(long.bytes()).status, 431);
    client
        .send(get("/publish/healthcheck/").bytes())
        .expect(200);
}

#[test]
fn requests_beyond_the_limit_in_all_are_503() {
    let sink = ScriptedSink::new();
    let home = Home::new()
        .set("server.http2.max_streams", 2)
        .set("server.http2.max_requests", 2);
    let gateway = home.start_with(&sink);
    let token = gateway.token("alice");
    sink.set("events", Behaviour::Stall);
    let request = post(EVENTS, RECORD).cookie(&token).bytes();
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| {
            gateway
                .http2()
                .send_all(&[request.clone(), request.clone()])
        });
        sink.wait_for("events", |log| log.waiting == 1);
        eventually(SOON, "both are being answered", || {
            let answer = gateway.http2().send(get("/publish/healthcheck/").bytes());
            answer.status == 503 && answer.header("retry-after").is_some()
        });
        assert!(gateway.reached("http2_requests") >= 1);
        assert!(
            gateway.connect().is_usable(),
            "HTTP/1.1 is bounded by its connections"
        );
        sink.set("events", Behaviour::Deliver);
        for answer in stalled.join().expect("answers") {
            answer.expect(200);
        }
    });
    gateway.http2().send(&request).expect(200);
}

#[test]
fn draining_tells_the_client_to_go_and_finishes_what_was_begun() {
    let sink = ScriptedSink::new();
    let mut gateway = Home::new().start_with(&sink);
    let cookie = format!("access_token={}", gateway.token("alice"));
    let mut idle = Frames::open(gateway.address, &[]);
    idle.find(SETTINGS);
    sink.set("events", Behaviour::Stall);
    let mut busy = Frames::open(gateway.address, &[]);
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", EVENTS),
        ("cookie", &*cookie),
    ];
    busy.send(&Frame::headers(1, &head, false))
        .expect("the gateway reads");
    busy.send(&Frame::new(DATA, 1, 1, RECORD))
        .expect("the gateway reads");
    sink.wait_for("events", |log| log.waiting == 1);
    gateway.begin_stop();
    assert_eq!(busy.find(GOAWAY).error_code(), 0);
    assert!(
        idle.end().iter().all(|code| *code == 0),
        "an idle connection ends without an error"
    );
    sink.set("events", Behaviour::Deliver);
    assert_eq!(busy.find(HEADERS).stream, 1);
    assert_eq!(busy.find(DATA).payload, PUBLISHED.as_bytes());
    gateway.stop();
    assert_eq!(sink.log("events").delivered.len(), 1);
}
