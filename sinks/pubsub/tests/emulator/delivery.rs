//! Messages as read back: attributes, bytes, keys, and each record as often as it was acknowledged.

use std::sync::Arc;

use iem_sink::Context;

use super::*;

#[test]
fn a_message_follows_the_cloudevents_binding() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "binding");
    let data = "{\r\n\t\"n\": 123456789012345678901234567890, \"s\": \"\\u0000 Grüße\" }";
    let mut one = record("1001/INC1", data);
    one.context = Arc::new(Context {
        kind: "iem.ticket".into(),
        integration: Some("snow-1".into()),
        actionable_state: Some("resolved".into()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        rejection: None,
        digests: None,
        ..Context::clone(&one.context)
    });
    deliver(
        &mut writer(&open_ordered(pubsub, &name), &name),
        std::slice::from_ref(&one),
    );

    let messages = pubsub.read_all(&name);
    let [message] = &messages[..] else {
        panic!("one message, not {}", messages.len())
    };
    let mut time = String::new();
    one.for_each_attribute(|name, value| {
        if name == "time" {
            value.clone_into(&mut time);
        }
    });
    let id = one.id.to_string();
    let expected = [
        ("Content-Type", "application/json"),
        ("ce-actionablestate", "resolved"),
        ("ce-customerid", "1001"),
        ("ce-id", &id),
        ("ce-integrationid", "snow-1"),
        ("ce-source", "iem-gateway"),
        ("ce-specversion", "1.0"),
        ("ce-subject", "1001/INC1"),
        ("ce-time", &time),
        (
            "ce-traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("ce-type", "iem.ticket"),
        ("ce-user", "api@example.com"),
    ];
    let attributes: Vec<(&str, &str)> = message
        .attributes
        .iter()
        .map(|(k, v)| (&**k, &**v))
        .collect();
    assert_eq!(attributes, expected);
    assert_eq!(message.ordering_key, "1001/INC1");
    assert_eq!(String::from_utf8_lossy(&message.data), data);
}

#[test]
fn more_records_than_a_request_takes_each_arrive_once() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "many");
    let sink = open(pubsub);
    let records = numbered(2501, 100);
    deliver(&mut writer(&sink, &name), &records);
    let messages = pubsub.read_all(&name);
    assert_once(&messages, &records);
    assert!(
        messages
            .iter()
            .all(|message| message.ordering_key.is_empty()),
        "ordering keys are off by default"
    );
}

#[test]
fn more_bytes_than_a_request_takes_each_arrive_once() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "heavy");
    let text = "x".repeat(3 << 20);
    let records: Vec<Record> = (0..5)
        .map(|n| {
            record(
                &format!("1001/{n}"),
                format!(r#"{{"n":{n},"text":"{text}"}}"#),
            )
        })
        .collect();
    deliver(&mut writer(&open(pubsub), &name), &records);
    assert_once(&pubsub.read_all(&name), &records);
}

#[test]
fn records_of_one_key_arrive_in_order_over_several_requests() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "in-order");
    let sink = open_ordered(pubsub, &name);
    let mut writer = writer(&sink, &name);
    let records = numbered(2400, 2);
    deliver(&mut writer, &records[..2300]);
    deliver(&mut writer, &records[2300..]);

    let messages = pubsub.read_all(&name);
    assert_once(&messages, &records);
    for key in ["1001/0", "1001/1"] {
        let read = messages
            .iter()
            .filter(|message| message.ordering_key == key);
        let read: Vec<&str> = read.map(|message| &*message.attributes["ce-id"]).collect();
        let written: Vec<Record> = records
            .iter()
            .filter(|record| &*record.key == key)
            .cloned()
            .collect();
        assert_eq!(read, ids(&written));
    }
}

#[test]
fn statistics_count_requests_and_leave_nothing_in_flight() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "statistics");
    let sink = open(pubsub);
    let mut writer = writer(&sink, &name);
    deliver(&mut writer, &numbered(10, 1));
    pubsub.delete_topic(&name);
    let (_, result) = write(&mut writer, &numbered(10, 1), AMPLE);
    assert!(result.is_err());

    let statistics: BTreeMap<_, f64> = sink
        .statistics()
        .into_iter()
        .map(|statistic| {
            let kind = statistic.label.map_or("", |(_, kind)| kind);
            ((statistic.name, kind), statistic.value)
        })
        .collect();
    assert!(statistics[&("round_trip_seconds", "")] > 0.0);
    for (statistic, expected) in [
        (("publishes_total", ""), "2"),
        (("connections_total", ""), "1"),
        (("reconnects_total", ""), "0"),
        (("errors_total", "not_found"), "1"),
        (("errors_total", "unavailable"), "0"),
        (("retries_total", ""), "0"),
        (("buffered_records", ""), "0"),
        (("buffered_bytes", ""), "0"),
    ] {
        assert_eq!(
            statistics[&statistic].to_string(),
            expected,
            "{statistic:?}"
        );
    }
}
