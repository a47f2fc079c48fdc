//! Content types of any kind, and byte order marks.

use iem_sink::testing::ScriptedSink;
use iem_test_support::{Answer, Gateway, Home, encoded, post};

use super::{EVENT, EVENTS, head, scene};

#[test]
fn content_types_of_every_kind_are_taken() {
    let (gateway, token) = scene();
    let of = |headers: &str, body: &str| {
        let length = body.len();
        let head = head(
            "HTTP/1.1",
            &token,
            &format!("{headers}Content-Length: {length}\r\n"),
        );
        gateway.connect().send(head + body).answer()
    };
    let lines = format!("{EVENT}\n{EVENT}\n");
    for (value, status, status_of_lines) in [
        ("Content-Type:\r\n", 200, 400),
        ("Content-Type: ;\r\n", 200, 400),
        (
            "Content-Type: application/json;charset=\"UTF-8\"\r\n",
            200,
            400,
        ),
        ("Content-Type: application/vnd.api+json\r\n", 200, 400),
        ("Content-Type: application/cloudevents+json\r\n", 200, 400),
        ("Content-Type: application/xml\r\n", 200, 400),
        ("Content-Type: image/png\r\n", 200, 400),
        ("Content-Type: */*\r\n", 200, 400),
        ("Content-Type: \u{e4}\u{20ac}\r\n", 200, 400),
        (
            "CONTENT-TYPE:APPLICATION/X-NDJSON;charset=utf-8\r\n",
            200,
            200,
        ),
        ("Content-Type: application/x-ndjson-not\r\n", 200, 400),
        // The first of several counts.
        (
            "Content-Type: application/x-ndjson\r\nContent-Type: application/json\r\n",
            200,
            200,
        ),
        (
            "Content-Type: application/json\r\nContent-Type: application/x-ndjson\r\n",
            200,
            400,
        ),
    ] {
        for (body, status) in [(EVENT, status), (&lines, status_of_lines)] {
            let answer = of(value, body);
            assert_eq!(answer.status, status, "{value} {body}: {answer:?}");
        }
    }
}

/// The text behind a byte order mark.
fn marked(text: &str) -> String {
    format!("\u{feff}{text}")
}

/// Publishes as alice, with these headers.
fn publish(gateway: &Gateway, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Answer {
    let mut request = post(EVENTS, body).cookie(&gateway.token("alice"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    gateway.send(&request)
}

#[test]
fn a_byte_order_mark_before_a_record_is_left_out() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    publish(&gateway, marked(EVENT), &[]).expect(200);
    publish(&gateway, marked(&format!("\r\n {EVENT}")), &[]).expect(200);
    let compressed = encoded("gzip", marked(EVENT).as_bytes());
    publish(&gateway, compressed, &[("Content-Encoding", "gzip")]).expect(200);
    let lines = marked(&format!("{EVENT}\r\n{EVENT}"));
    publish(&gateway, lines, &[("Content-Type", "application/x-ndjson")]).expect(200);
    // In pieces, the mark's own bytes apart.
    let mut connection = gateway.connect();
    let token = gateway.token("alice");
    connection.send(head("HTTP/1.1", &token, "Transfer-Encoding: chunked\r\n"));
    for byte in marked(EVENT).bytes() {
        connection.send([b"1\r\n", &[byte][..], b"\r\n"].concat());
    }
    connection.send("0\r\n\r\n").answer().expect(200);
    let delivered = sink.log("events").delivered;
    assert_eq!(delivered.len(), 6);
    assert!(
        delivered
            .iter()
            .all(|record| record.data.trim_ascii() == EVENT.as_bytes()),
        "without the mark: {delivered:?}"
    );
}

#[test]
fn a_byte_order_mark_in_another_place_is_400() {
    let gateway = Home::new().start();
    publish(&gateway, marked(""), &[]).expect(400);
    publish(&gateway, b"\xef\xbb", &[]).expect(400);
    publish(&gateway, marked(&format!("{EVENT}\u{feff}")), &[]).expect(400);
    let before_gzip = [b"\xef\xbb\xbf", &*encoded("gzip", EVENT.as_bytes())].concat();
    publish(&gateway, before_gzip, &[("Content-Encoding", "gzip")]).expect(400);
}

#[test]
fn a_byte_order_mark_before_a_ticket_and_a_refresh_token_is_left_out() {
    let sink = ScriptedSink::new();
    let gateway = Home::new().start_with(&sink);
    let token = gateway.token("alice");
    let update = r#"{"state":6,"sysid":"1"}"#;
    let ticket = post("/gbp/push/acme?integrationid=servicenow-1", marked(update));
    gateway.send(&ticket.cookie(&token)).expect(200);
    assert_eq!(sink.log("tickets").delivered[0].data, update);
    let refresh = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200)
        .refresh_token();
    let body = marked(&format!(r#"{{"refresh_token":"{refresh}"}}"#));
    gateway
        .send(&post("/api/v1/user/token/refresh", body))
        .expect(200);
}
