//! Habits of real clients that RFC 9112 allows: whole targets, HTTP/1.0, expectations,
//! requests sent ahead, connections kept and looked at, content types of any kind, byte order
//! marks.

mod content;

use std::thread;
use std::time::Duration;

use iem_sink::testing::ScriptedSink;

use iem_test_support::{Answer, Curl, Gateway, Home, get, post};

const EVENTS: &str = "/publish/allevents/";
const EVENT: &str = r#"{"envcustomerid":"acme"}"#;
const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const SOON: Duration = Duration::from_secs(10);

/// A gateway, and alice's token.
fn scene() -> (Gateway, String) {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    (gateway, token)
}

/// A POST of an event by this version, with these headers.
fn head(version: &str, token: &str, headers: &str) -> String {
    format!(
        "POST {EVENTS} {version}\r\nHost: gateway\r\nCookie: access_token={token}\r\n{headers}\r\n"
    )
}

#[test]
fn targets_of_every_form_are_read() {
    let (gateway, token) = scene();
    let ticket = r#"{"state":6,"sysid":"1"}"#;
    for (method, target, body, status) in [
        ("POST", "http://gateway/publish/allevents/", EVENT, 200),
        (
            "POST",
            "HTTP://user@gateway:8080/publish/allevents",
            EVENT,
            200,
        ),
        (
            "POST",
            "https://gateway/gbp/push/acme?integrationid=servicenow-1",
            ticket,
            200,
        ),
        ("GET", "http://gateway/publish/healthcheck/", "", 200),
        ("GET", "http://gateway/nothing", "", 404),
        ("GET", "http://gateway", "", 404),
        ("GET", "gateway:8080", "", 404),
        ("OPTIONS", "*", "", 404),
        ("POST", "*", EVENT, 404),
    ] {
        let mut connection = gateway.connect();
        connection.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: gateway\r\nCookie: access_token={token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        assert!(connection.is_usable(), "{method} {target}");
    }
}

#[test]
fn http_1_0_keeps_the_connection_only_when_asked() {
    let (gateway, token) = scene();
    let length = EVENT.len();
    for (connection_header, stays) in [
        ("Connection: keep-alive\r\n", true),
        ("Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n", true),
        ("Connection: close\r\n", false),
        ("", false),
    ] {
        let mut connection = gateway.connect();
        let request = head(
            "HTTP/1.0",
            &token,
            &format!("{connection_header}Content-Length: {length}\r\n"),
        );
        for _ in 0..3 {
            let answer = connection
                .send(format!("{request}{EVENT}"))
                .answer()
                .expect(200)
                .body_is(PUBLISHED);
            let says = answer.header("connection").map(str::to_lowercase);
            assert!(
                answer.header("content-length").is_some(),
                "a body whose end is known: {answer:?}"
            );
            if !stays {
                assert_ne!(says.as_deref(), Some("keep-alive"));
                assert!(connection.ends(SOON), "{connection_header}");
                break;
            }
            assert_eq!(
                says.as_deref(),
                Some("keep-alive"),
                "an older client has to be told: {answer:?}"
            );
        }
    }
    assert_eq!(gateway.home.records("events").len(), 8);
}

#[test]
fn an_expectation_of_100_continue_is_answered_and_others_are_ignored() {
    let (gateway, token) = scene();
    let length = format!("Content-Length: {}\r\n", EVENT.len());
    let expect = |value: &str| format!("Expect: {value}\r\n{length}");
    for (version, headers, body, interim, status) in [
        ("HTTP/1.1", expect("100-continue"), EVENT, 1, 200),
        ("HTTP/1.1", expect("100-Continue"), EVENT, 1, 200),
        ("HTTP/1.1", expect("100-CONTINUE"), EVENT, 1, 200),
        // What is not known is not answered to, and the body is read when it comes.
        ("HTTP/1.1", expect("200-ok"), EVENT, 0, 200),
        ("HTTP/1.1", expect(""), EVENT, 0, 200),
        (
            "HTTP/1.1",
            "Expect: 100-continue\r\nContent-Length: 0\r\n".to_owned(),
            "",
            0,
            400,
        ),
        (
            "HTTP/1.1",
            "Expect: 100-continue\r\n".to_owned(),
            "",
            0,
            400,
        ),
        // A client of HTTP/1.0 takes an interim answer for the answer.
        ("HTTP/1.0", expect("100-continue"), EVENT, 0, 200),
    ] {
        let mut connection = gateway.connect();
        // With the body behind the head at once, as a client may that does not wait.
        let answer = connection
            .send(head(version, &token, &headers) + body)
            .answer();
        assert_eq!(
            (answer.status, answer.interim),
            (status, interim),
            "{version} {headers}: {answer:?}"
        );
        if version == "HTTP/1.1" {
            assert!(connection.is_usable(), "{headers}");
        }
    }
    let mut patient = gateway.connect();
    patient.send(head("HTTP/1.1", &token, &expect("100-continue")));
    while !patient.has_begun_to_answer() {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(patient.send(EVENT).answer().expect(200).interim, 1);
}

#[test]
fn an_expectation_over_http2_loses_no_body() {
    let (gateway, token) = scene();
    let url = format!("http://{}{EVENTS}", gateway.address);
    let cookie = format!("Cookie: access_token={token}");
    let large = format!("{EVENT}{}", " ".repeat(1 << 20));
    gateway.home.write("large.json", &large);
    for body in [EVENT, "@large.json"] {
        let curl = Curl::new(&gateway.home, "none").arg("--http2-prior-knowledge");
        let curl = curl.args(&[
            "-H",
            "Expect: 100-continue",
            "-H",
            &cookie,
            "--data-binary",
            body,
        ]);
        let answer = curl.arg(&url).answer().expect(200).body_is(PUBLISHED);
        assert_eq!(answer.version, "HTTP/2");
    }
    assert_eq!(gateway.home.records("events").len(), 2);
}

#[test]
fn requests_sent_ahead_and_cut_anywhere_are_answered_in_order() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let token = gateway.token("alice");
    let event = |id: &str| format!(r#"{{"envcustomerid":"acme","test_id":"{id}"}}"#);
    let chunk = event("second");
    let chunked = head("HTTP/1.1", &token, "Transfer-Encoding: chunked\r\n");
    let chunked = format!(
        "{chunked}9\r\n{}\r\n{:x};a\r\n{}\r\n0\r\nX: a\r\n\r\n",
        &chunk[..9],
        chunk.len() - 9,
        &chunk[9..]
    );
    let requests = [
        post(EVENTS, event("first")).cookie(&token).bytes(),
        chunked.into_bytes(),
        get("/publish/healthcheck/").bytes(),
        post(EVENTS, "{").cookie(&token).bytes(),
        post(EVENTS, event("third")).cookie(&token).bytes(),
    ]
    .concat();
    let mut connection = gateway.connect();
    for cut in 0..requests.len() {
        let (before, behind) = requests.split_at(cut);
        connection.send(before);
        thread::sleep(Duration::from_micros(300));
        connection.send(behind);
        for status in [200, 200, 200, 400, 200] {
            connection.answer().expect(status);
        }
    }
    let delivered = sink.log("events").delivered;
    assert_eq!(delivered.len(), 3 * requests.len());
    for (record, id) in delivered
        .iter()
        .zip(["first", "second", "third"].into_iter().cycle())
    {
        assert_eq!(record.data, event(id));
    }
}

/// As Java's `HttpURLConnection` sends it: the first line and the headers in its order.
fn of_java(token: &str) -> String {
    format!(
        "POST {EVENTS} HTTP/1.1\r\nCookie: access_token={token}\r\n\
         User-Agent: Java/17.0.15\r\nHost: gateway\r\n\
         Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\
         Content-type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{EVENT}",
        EVENT.len()
    )
}

/// As `OkHttp`, and so NiFi, sends it.
fn of_okhttp(token: &str) -> String {
    format!(
        "POST {EVENTS} HTTP/1.1\r\nCookie: access_token={token}\r\n\
         Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\
         Host: gateway\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\n\
         User-Agent: okhttp/4.12.0\r\n\r\n{:x}\r\n{EVENT}\r\n0\r\n\r\n",
        EVENT.len()
    )
}

#[test]
fn a_kept_connection_looks_fresh_until_it_is_used_again() {
    let (gateway, token) = scene();
    for request in [of_java(&token), of_okhttp(&token)] {
        let mut connection = gateway.connect();
        for _ in 0..5 {
            let answer = connection
                .send(&request)
                .answer()
                .expect(200)
                .body_is(PUBLISHED);
            assert_eq!(answer.header("connection"), None, "it stays: {answer:?}");
            // Before they use it again, these clients look whether anything has come, an end for
            // one.
            thread::sleep(Duration::from_millis(20));
            assert!(connection.is_quiet());
        }
        // The empty line that some put behind a body.
        connection.send("\r\n");
        connection.send(&request).answer().expect(200);
        connection.finish_sending();
        assert!(
            connection.ends(SOON),
            "half of it was closed while it was idle"
        );
    }
    assert_eq!(gateway.home.records("events").len(), 12);
}

#[test]
fn a_client_is_told_when_its_connection_ends() {
    let (gateway, token) = scene();
    let last = |answer: &Answer| {
        answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    };
    // An answer that comes before the body has: a client that kept the connection would send its
    // next request in vain.
    let mut connection = gateway.connect();
    connection.send(format!(
        "POST {EVENTS} HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000\r\n\r\n"
    ));
    assert!(last(&connection.answer().expect(401)));
    assert!(connection.ends(SOON));

    let mut connection = gateway.connect();
    connection.send(head("HTTP/1.1", &token, "Transfer-Encoding: chunked\r\n") + "x\r\n");
    assert!(last(&connection.answer().expect(400)));
    assert!(connection.ends(SOON));

    let mut connection = gateway.connect();
    connection.send("no request at all\r\n\r\n");
    assert!(last(&connection.answer().expect(400)));
    assert!(connection.ends(SOON));
}
