//! What the clients of Kafka and Pub/Sub tell of themselves, on the page of metrics.

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::brokers::pubsub::PubSub;

use iem_test_support::{AMPLE, Gateway, Home, eventually};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme","entityid":"web-01"}"#;

/// What a dashboard may ask of either sink.
const COMMON: [&str; 5] = [
    "round_trip_seconds",
    "retries_total",
    "buffered_records",
    "buffered_bytes",
    "reconnects_total",
];

const README: &str = include_str!("../../../README.md");

#[test]
fn of_kafka() {
    let kafka = Kafka::shared();
    kafka.create_topic("figures", 1, 1, &[]);
    let gateway = Home::new()
        .events_at_kafka(&kafka.bootstrap(), "figures")
        .start();
    kafka.delete_topic("figures");
    eventually(AMPLE, "a topic that is gone is 503", || {
        gateway.publish(EVENTS, RECORD).status == 503
    });
    // By its kind; while a topic goes away, brokers say several things of it.
    eventually(AMPLE, "the error is counted", || {
        gateway.metric("iem_gateway_sink", &["sink=\"kafka\"", "figure=\"errors_"]) >= 1.0
    });
    // The client tells of itself every five seconds.
    eventually(AMPLE, "a round trip is measured", || {
        figure(&gateway, "kafka", "round_trip_seconds") > 0.0
    });
    all_are_told_and_documented(&gateway, "kafka");
}

#[test]
fn of_pubsub() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("figures");
    let gateway = Home::new()
        .events_at_pubsub(&pubsub.endpoint(), "figures")
        .start();
    gateway.publish(EVENTS, RECORD).expect(200);
    assert!(figure(&gateway, "pubsub", "round_trip_seconds") > 0.0);
    pubsub.delete_topic("figures");
    gateway.publish(EVENTS, RECORD).expect(503);
    assert!(figure(&gateway, "pubsub", "errors_not_found_total") >= 1.0);
    all_are_told_and_documented(&gateway, "pubsub");
}

fn figure(gateway: &Gateway, sink: &str, name: &str) -> f64 {
    gateway.metric(
        "iem_gateway_sink",
        &[&format!("sink=\"{sink}\""), &format!("figure=\"{name}\"")],
    )
}

fn all_are_told_and_documented(gateway: &Gateway, sink: &str) {
    let page = gateway.admin("/metrics").text();
    let names: Vec<_> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("iem_gateway_sink{figure=\"")?
                .split('"')
                .next()
        })
        .collect();
    for name in COMMON {
        assert!(
            names.contains(&name),
            "{sink} does not tell {name}: {names:?}"
        );
    }
    for name in names {
        let kind = name
            .strip_prefix("errors_")
            .and_then(|name| name.strip_suffix("_total"));
        let documented = README.contains(&format!("`{}`", kind.unwrap_or(name)));
        assert!(documented, "the README does not name {name} of {sink}");
    }
}
