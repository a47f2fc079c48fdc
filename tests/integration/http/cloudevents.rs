//! Events of `CloudEvents`: records keep their bytes in every mode, what the file sink wrote goes
//! back in, and a request's events go to the topics of their kinds.

mod attributes;
mod repeats;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_sink::{Reason, SinkError};
use iem_test_support::{Answer, Gateway, Home, TOPICS, example, for_each_line, post};
use serde_json::{Value, json};

use super::many_records::{check_data, of_keys};

const PATH: &str = "/cloudevents/";
const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const LINES: &str = "application/x-ndjson";

/// A record with numbers, escapes and white space that a second writing would change.
const ODD: &str = concat!(
    "{ \"envcustomerid\" :\t\"\\u0061cme\" ,\"splitby\":\"k\\/1\",",
    "\"n\":[1.50,-0,1E+02,1e400,123456789012345678901234567890,9007199254740993],",
    "\"s\":\"\\u00e4ä\\/\\\"\\\\\\ud83d\\ude00😀 {}[],: \",",
    "\"z\":1,\"a\":2,\"z\":3,\"\":{\"b\":null},",
    "\"data\":{\"data\":1},\"specversion\":\"9\",\"lone\":\"\\ud800\" }"
);

fn send(gateway: &Gateway, user: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = post(PATH, body)
        .cookie(&gateway.token(user))
        .header("Content-Type", content_type);
    gateway.send(&request)
}

fn event(id: &str, kind: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/tests","type":"iem.{kind}","data":{data}}}"#
    )
}

fn acme(key: &str) -> String {
    format!(r#"{{"envcustomerid":"acme","splitby":"{key}","mappedentityid":"{key}"}}"#)
}

/// Events of several kinds: of these kinds, and with the keys `k0`, `k1` and so on.
fn batch(kinds: &[&str]) -> String {
    let events: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| event(&format!("e{index}"), kind, &acme(&format!("k{index}"))))
        .collect();
    format!("[{}]", events.join(","))
}

#[test]
fn a_record_keeps_its_bytes_in_every_mode() {
    let gateway = Home::new().start();
    let structured = event("a", "event", &format!(" {ODD}\n"));
    send(&gateway, "alice", STRUCTURED, structured).expect(200);
    check_data(&gateway, "events", &[ODD]);
    let binary = post(PATH, ODD)
        .cookie(&gateway.token("alice"))
        .header("ce-specversion", "1.0")
        .header("ce-id", "b")
        .header("ce-source", "/tests")
        .header("ce-type", "iem.event");
    gateway.send(&binary).expect(200);
    check_data(&gateway, "events", &[ODD; 2]);
    let two = format!(
        "[{} ,\n{}]",
        event("c", "event", &format!(" {ODD}\n")),
        event("d", "event", ODD)
    );
    send(&gateway, "alice", BATCH, two).expect(200);
    check_data(&gateway, "events", &[ODD; 4]);
    let lines = format!(
        "{}\r\n\n{}",
        event("e", "event", ODD),
        event("f", "event", ODD)
    );
    send(&gateway, "alice", LINES, lines).expect(200);
    check_data(&gateway, "events", &[ODD; 6]);
    let encoded = |id: &str| {
        format!(
            r#"{{"data_base64":"{}","specversion":"1.0","id":"{id}","source":"s","type":"iem.event"}}"#,
            STANDARD.encode(ODD)
        )
    };
    let mixed = format!("[{},{}]", encoded("a"), event("g", "event", ODD));
    send(&gateway, "alice", STRUCTURED, encoded("b")).expect(200);
    send(&gateway, "alice", BATCH, mixed).expect(200);
    check_data(&gateway, "events", &[ODD; 9]);
}

#[test]
fn what_the_file_sink_wrote_can_be_sent_back() {
    let first = Home::new().start();
    let large = format!(
        r#"{{"envcustomerid":"acme","a":"{}"}}"#,
        "ä\\n".repeat(100_000)
    );
    for (path, body) in [
        ("/publish/allevents/", ODD),
        ("/publish/allevents/", &large),
        ("/publish/metrics/", example("metric").expect("one")),
        ("/publish/entity/", example("entity").expect("one")),
        ("/publish/service/", example("service").expect("one")),
        (
            "/publish/healthcheck/",
            example("healthcheck").expect("one"),
        ),
        (
            "/gbp/push/acme?integrationid=servicenow-1",
            example("ticket").expect("one"),
        ),
    ] {
        first.publish(path, body).expect(200);
    }
    let mut written = Vec::new();
    for topic in TOPICS {
        let folder = first.home.path("data").join(topic);
        for_each_line(&folder, |line| {
            written.extend_from_slice(line);
            written.push(b'\n');
        });
    }

    let second = Home::new().set("server.name", "second").start();
    send(&second, "root", LINES, written).expect(200);
    for topic in TOPICS {
        let (sent, arrived) = (first.home.records(topic), second.home.records(topic));
        assert!(!sent.is_empty(), "{topic}");
        assert_eq!(sent.len(), arrived.len(), "{topic}");
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!(sent.data, arrived.data, "{topic}");
            for name in ["id", "type", "subject", "customerid", "datacontenttype"] {
                assert_eq!(sent.attribute(name), arrived.attribute(name), "{topic}");
            }
            for name in ["integrationid", "actionablestate"] {
                assert_eq!(sent.optional(name), arrived.optional(name), "{topic}");
            }
            assert_eq!(arrived.attribute("source"), "second");
            assert_eq!(arrived.attribute("user"), "root@iem.example");
            assert!(sent.attribute("time") <= arrived.attribute("time"));
        }
    }
    let tickets = second.home.records("tickets");
    assert_eq!(tickets[0].attribute("actionablestate"), "resolved");
}

#[test]
fn the_events_of_a_request_go_to_the_topics_of_their_kinds() {
    let gateway = Home::new().start();
    let ticket = event("a", "ticket", r#"{"state":10,"sysid":"x"}"#).replace(
        r#""id""#,
        r#""customerid":"acme","integrationid":"jira 2","id""#,
    );
    let kinds = ["event", "metric", "event", "healthcheck"];
    let body = batch(&kinds).replacen('[', &format!("[{ticket},"), 1);
    send(&gateway, "alice", BATCH, body).expect(200);
    check_data(&gateway, "events", &[&acme("k0"), &acme("k2")]);
    check_data(&gateway, "metrics", &[&acme("k1")]);
    check_data(&gateway, "healthchecks", &[&acme("k3")]);
    let tickets = gateway.home.records("tickets");
    assert_eq!(tickets[0].attribute("integrationid"), "jira 2");
    assert_eq!(tickets[0].attribute("actionablestate"), "resolved");
    assert_eq!(tickets[0].attribute("subject"), "acme/x");
    let answered = gateway.metric(
        "iem_gateway_requests_total",
        &["endpoint=\"cloudevents\"", "status=\"200\""],
    );
    assert_eq!(answered.to_string(), "1");
}

#[test]
fn nothing_of_a_request_with_a_fault_is_written() {
    let gateway = Home::new().start();
    for (bad, status) in [
        (event("a", "metric", r#"{"envcustomerid":"globex"}"#), 401),
        (event("a", "metric", "{}"), 400),
        (event("a", "x", "{}"), 400),
        ("5".to_owned(), 400),
    ] {
        for at in [0, 1, 29] {
            let mut events = vec![event("a", "event", &acme("k")); 30];
            events[at].clone_from(&bad);
            for (content_type, body) in [
                (BATCH, format!("[{}]", events.join(","))),
                (LINES, events.join("\n")),
            ] {
                let answer = send(&gateway, "alice", content_type, body).expect(status);
                assert_eq!(answer.json()["record"], at, "{answer:?}");
            }
        }
    }
    for topic in TOPICS {
        assert!(gateway.home.records(topic).is_empty(), "{topic}");
    }
}

#[test]
fn indexes_count_over_the_whole_request() {
    let check = |kinds: &[&str], events, metrics, status, failed: Value, rejected: Value| {
        let sink = ScriptedSink::new();
        let home = Home::new()
            .set("topics.events.deadline", "500ms")
            .set("topics.events.workers", 2);
        let gateway = home.start_with(&sink);
        sink.set("events", events);
        sink.set("metrics", metrics);
        let answer = send(&gateway, "alice", BATCH, batch(kinds)).expect(status);
        assert_eq!(answer.json()["failed"], failed, "{answer:?}");
        assert_eq!(answer.json()["rejected"], rejected, "{answer:?}");
    };
    let kinds = ["metric", "event", "metric", "event", "event", "metric"];
    let failing = || SinkError::transient("scripted");
    let fail_some = || Behaviour::FailSome(of_keys(&["/k4"]), failing());
    let reject = || Behaviour::Reject(of_keys(&["/k0", "/k5"]), Reason::TooLarge { limit: 1 });
    let none = Value::Null;
    check(
        &kinds,
        fail_some(),
        Behaviour::Deliver,
        503,
        json!([4]),
        none.clone(),
    );
    check(
        &kinds,
        fail_some(),
        reject(),
        503,
        json!([4]),
        json!([0, 5]),
    );
    check(
        &kinds,
        Behaviour::Deliver,
        reject(),
        413,
        none.clone(),
        json!([0, 5]),
    );
    let fail = || Behaviour::Fail(failing());
    check(
        &kinds,
        fail(),
        Behaviour::Deliver,
        503,
        json!([1, 3, 4]),
        none.clone(),
    );
    // Without indexes, none was confirmed.
    check(
        &["event"; 2],
        fail(),
        Behaviour::Deliver,
        503,
        none.clone(),
        none,
    );
}

#[test]
fn a_quota_is_taken_for_all_topics_or_for_none() {
    let gateway = Home::new().set("quota.records", 3).start();
    let answer = send(
        &gateway,
        "alice",
        BATCH,
        batch(&["event", "event", "metric", "metric"]),
    );
    assert_eq!(
        answer.expect(429).message(),
        "The customer may never send so much at once, send less in a request",
        "of no kind there are too many, of both together there are"
    );
    for topic in TOPICS {
        assert!(gateway.home.records(topic).is_empty(), "{topic}");
    }
    send(
        &gateway,
        "alice",
        BATCH,
        batch(&["event", "event", "metric"]),
    )
    .expect(200);
    let others = batch(&["event"; 3]).replace(r#""id":"e"#, r#""id":"f"#);
    let answer = send(&gateway, "alice", BATCH, others).expect(429);
    assert_eq!(
        answer.message(),
        "The customer is over its quota, try again later"
    );
}

#[test]
fn more_events_than_a_topic_holds_are_413() {
    let home = Home::new()
        .set("topics.metrics.queue_records", 2)
        .set("topics.metrics.batch_records", 2);
    let gateway = home.start();
    send(
        &gateway,
        "alice",
        BATCH,
        batch(&["metric", "event", "metric"]),
    )
    .expect(200);
    send(
        &gateway,
        "alice",
        BATCH,
        batch(&["metric", "event", "metric", "metric"]),
    )
    .expect(413);
    assert_eq!(gateway.home.records("metrics").len(), 2);
    assert_eq!(gateway.home.records("events").len(), 1);
}

#[test]
fn a_large_body_of_any_form_is_read_and_leaves_no_memory_held() {
    let gateway = Home::new().start();
    let padding = "[1,".repeat(1000) + &"]".repeat(1000).replacen(']', "1]", 1);
    let data = format!(r#"{{"envcustomerid":"acme","a":{padding}}}"#);
    let encoded = |number: usize| {
        format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"s","type":"iem.event","data_base64":"{}"}}"#,
            STANDARD.encode(&data)
        )
    };
    let two = |number| [encoded(number), event(&number.to_string(), "metric", &data)];
    let events: Vec<_> = (0..200).flat_map(two).collect();
    let (lines, batch) = events.split_at(200);
    send(&gateway, "alice", LINES, lines.join("\n")).expect(200);
    send(&gateway, "alice", BATCH, format!("[{}]", batch.join(","))).expect(200);
    check_data(&gateway, "events", &[data.as_str(); 200]);
    check_data(&gateway, "metrics", &[data.as_str(); 200]);
    let sparse = format!("[{}{}]", " ".repeat(1 << 20), event("a", "event", &data));
    send(&gateway, "alice", BATCH, sparse).expect(200);
    check_data(&gateway, "events", &[data.as_str(); 201]);
    assert_eq!(
        gateway.metric("iem_gateway_memory_bytes", &[]).to_string(),
        "0"
    );
}
