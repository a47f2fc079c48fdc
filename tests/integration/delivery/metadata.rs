//! The metadata of a record: `CloudEvents` attributes, the ordering key, the state of a ticket.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use iem_test_support::{Gateway, Home, Line, post};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Publishes one record as alice, and gives back the topic's last line.
fn published(gateway: &Gateway, path: &str, topic: &str, body: &str) -> Line {
    gateway.publish(path, body).expect(200);
    gateway.home.records(topic).pop().expect("a line")
}

#[test]
fn a_line_is_a_cloud_event_in_structured_mode() {
    let gateway = Home::new().set("server.name", "gateway-eu-1").start();
    let event = published(
        &gateway,
        "/publish/allevents/",
        "events",
        r#"{"envcustomerid":"acme","entityid":"web-01"}"#,
    );
    let expected = [
        ("specversion", "1.0"),
        ("source", "gateway-eu-1"),
        ("type", "iem.event"),
        ("datacontenttype", "application/json"),
        ("subject", "acme/web-01"),
        ("customerid", "acme"),
        ("user", "alice@acme.example"),
    ];
    for (name, value) in expected {
        assert_eq!(event.attribute(name), value, "{name}");
    }
    let names: BTreeSet<_> = event.attributes.keys().map(String::as_str).collect();
    let known = expected.iter().map(|(name, _)| *name).chain(["id", "time"]);
    assert_eq!(names, known.collect(), "and nothing else");
    assert_eq!(event.attribute("id").len(), 36, "a UUID");
    assert_eq!(
        event.attribute("id").chars().nth(14),
        Some('7'),
        "a UUIDv7: {}",
        event.attribute("id")
    );
    let time = event.attribute("time");
    assert!(
        time.len() >= 20 && time.ends_with('Z') && &time[10..11] == "T",
        "RFC 3339 in UTC: {time}"
    );
}

#[test]
fn each_kind_has_its_type_and_topic() {
    let gateway = Home::new().start();
    for (path, topic, kind) in [
        ("/publish/allevents/", "events", "iem.event"),
        ("/publish/allevnts", "events", "iem.event"),
        ("/publish/metrics", "metrics", "iem.metric"),
        ("/publish/entity/", "entities", "iem.entity"),
        ("/publish/service", "services", "iem.service"),
        ("/publish/healthcheck/", "healthchecks", "iem.healthcheck"),
    ] {
        let line = published(&gateway, path, topic, r#"{"envcustomerid":"acme"}"#);
        assert_eq!(
            (line.attribute("type"), line.attribute("subject")),
            (kind, "acme"),
            "{path}"
        );
    }
}

#[test]
fn ids_are_unique_and_rise_with_time() {
    let gateway = Home::new().start();
    let request =
        post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#).cookie(&gateway.token("alice"));
    // On one connection, so of one serving thread: over threads they rise by the millisecond only.
    let mut connection = gateway.connect();
    for _ in 0..50 {
        connection.send(request.bytes()).answer().expect(200);
    }
    let lines = gateway.home.records("events");
    let ids: Vec<_> = lines.iter().map(|line| line.attribute("id")).collect();
    // By the millisecond, which is what stands in front: each connection may be another thread's.
    assert!(ids.is_sorted_by_key(|id| &id[..13]), "{ids:?}");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 50, "{ids:?}");
}

/// Publishes each record to a path, and expects it in a topic under its ordering key.
#[track_caller]
fn check_keys(path: &str, topic: &str, cases: &[(&str, &str)]) {
    let gateway = Home::new().start();
    for (fields, key) in cases {
        let record = format!(r#"{{"envcustomerid":"acme",{fields}}}"#);
        let line = published(&gateway, path, topic, &record);
        assert_eq!(line.attribute("subject"), *key, "{path} {fields}");
    }
}

#[test]
fn the_ordering_key_of_an_event_is_the_first_listed_field_with_a_value() {
    check_keys(
        "/publish/allevents/",
        "events",
        &[
            (r#""entityid":"e","splitby":"s""#, "acme/s"),
            (r#""splitby":"","entityid":"e""#, "acme/e"),
            (r#""splitby":null,"entityid":"e""#, "acme/e"),
            (r#""splitby":{"a":1},"entityid":true"#, "acme"),
            (r#""splitby":1.50"#, "acme/1.50"),
            (
                r#""splitby":123456789012345678901234567890"#,
                "acme/123456789012345678901234567890",
            ),
            (r#""splitby":-1E+2"#, "acme/-1E+2"),
            (r#""splitby":"first","splitby":"last""#, "acme/last"),
            (r#""split\u0062y":"\u00e4/\"b\" c""#, "acme/ä/\"b\" c"),
            (r#""a":{"splitby":"inside"}"#, "acme"),
        ],
    );
}

#[test]
fn the_ordering_key_of_another_kind_is_the_first_listed_field_with_a_value() {
    check_keys(
        "/publish/metrics/",
        "metrics",
        &[
            (r#""entity":"e","mappedentityid":"m""#, "acme/m"),
            (r#""entity":"e""#, "acme/e"),
        ],
    );
    check_keys(
        "/publish/entity/",
        "entities",
        &[(r#""entityid":"e","splitby":"s""#, "acme/e")],
    );
    check_keys(
        "/publish/service/",
        "services",
        &[(r#""servicename":"s""#, "acme/s")],
    );
    check_keys(
        "/publish/healthcheck/",
        "healthchecks",
        &[(r#""host":"h""#, "acme/h")],
    );
}

#[test]
fn the_ordering_key_is_configurable_for_each_topic() {
    let home = Home::new()
        .set("topics.events.key", vec!["toolmanager", "severity"])
        .set("topics.metrics.key", Vec::<String>::new());
    let gateway = home.start();
    let fields = r#"{"envcustomerid":"acme","splitby":"s","severity":4,"mappedentityid":"m"}"#;
    assert_eq!(
        published(&gateway, "/publish/allevents/", "events", fields).attribute("subject"),
        "acme/4"
    );
    assert_eq!(
        published(&gateway, "/publish/metrics/", "metrics", fields).attribute("subject"),
        "acme"
    );
}

#[test]
fn an_integer_customer_is_its_digits() {
    let gateway = Home::new().start();
    let token = gateway.token("carol");
    let body = r#"{"envcustomerid":1001,"entityid":"e"}"#;
    gateway
        .send(&post("/publish/allevents/", body).cookie(&token))
        .expect(200);
    let line = gateway.home.records("events").pop().unwrap();
    assert_eq!(
        (line.attribute("customerid"), line.attribute("subject")),
        ("1001", "1001/e")
    );
    assert_eq!(
        line.record()["envcustomerid"],
        1001,
        "the record itself keeps its type"
    );
}

#[test]
fn a_valid_traceparent_is_carried_on_and_another_is_dropped() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let uppercase = TRACE.to_uppercase();
    for (sent, carried) in [
        (TRACE, Some(TRACE)),
        ("nonsense", None),
        (
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            None,
        ),
        (
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            None,
        ),
        (
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            None,
        ),
        (&*uppercase, None),
    ] {
        let body = r#"{"envcustomerid":"acme"}"#;
        let request = post("/publish/allevents/", body)
            .cookie(&token)
            .header("traceparent", sent);
        gateway.send(&request).expect(200);
        let line = gateway.home.records("events").pop().unwrap();
        assert_eq!(line.optional("traceparent"), carried, "{sent}");
    }
}

#[test]
fn a_ticket_carries_its_integration_and_the_state_that_the_integration_maps() {
    let gateway = Home::new().start();
    for (query, body, integration, state) in [
        (
            "servicenow-1",
            r#"{"state":6,"sysid":"s1"}"#,
            "servicenow-1",
            Some("resolved"),
        ),
        (
            "servicenow-1",
            r#"{"state":"6","sysid":"s1"}"#,
            "servicenow-1",
            Some("resolved"),
        ),
        (
            "servicenow-1",
            r#"{"state":7,"sysid":"s1"}"#,
            "servicenow-1",
            Some("closed"),
        ),
        (
            "servicenow-1",
            r#"{"state":3,"sysid":"s1"}"#,
            "servicenow-1",
            None,
        ),
        (
            "jira%202",
            r#"{"state":10,"sysid":"s1"}"#,
            "jira 2",
            Some("resolved"),
        ),
        ("jira%202", r#"{"state":6,"sysid":"s1"}"#, "jira 2", None),
    ] {
        let path = format!("/gbp/push/acme?integrationid={query}");
        let line = published(&gateway, &path, "tickets", body);
        assert_eq!(line.data, body.as_bytes(), "the body as sent");
        assert_eq!(line.attribute("type"), "iem.ticket");
        assert_eq!(line.attribute("subject"), "acme/s1");
        assert_eq!(
            (
                line.attribute("customerid"),
                line.attribute("integrationid")
            ),
            ("acme", integration)
        );
        assert_eq!(line.optional("actionablestate"), state, "{query} {body}");
    }
}

#[test]
fn updates_of_one_ticket_keep_their_order() {
    let gateway = Home::new().start();
    for state in 1..=30 {
        let body = format!(r#"{{"state":{state},"sysid":"s1"}}"#);
        gateway
            .publish("/gbp/push/acme?integrationid=servicenow-1", body)
            .expect(200);
    }
    let states: Vec<_> = gateway
        .home
        .records("tickets")
        .iter()
        .map(|line| line.record()["state"].clone())
        .collect();
    assert_eq!(states, (1..=30).map(Value::from).collect::<Vec<_>>());
}
