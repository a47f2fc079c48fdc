//! One line of configuration changes the sink, and nothing else changes: the same requests get the
//! same answers, and readers that are not ours find the same records at each backend.

use std::collections::BTreeMap;
use std::thread;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::brokers::pubsub::PubSub;

use crate::http::contract;
use crate::http::record_bytes::compact;
use iem_test_support::{Arrived, Gateway, TOPICS, issued_tokens, post, read_kafka, read_pubsub};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Digits, escapes, the order of keys, white space and line breaks: a sink that takes bytes takes
/// these as they are.
const VERBATIM: &str = "{\"z\" :\t-0.10E+400,\"a\":\"\\u00e4\\/ä\",\r\n  \
     \"entityid\":\"web-01\", \"envcustomerid\":\"acme\"}";

const TICKETS: &str = "/gbp/push/acme?integrationid=servicenow-1";

/// One record of each kind: its path, topic, type and ordering key, and its body.
const RECORDS: [(&str, &str, &str, &str, &str); 6] = [
    (
        "/publish/allevents/",
        "events",
        "iem.event",
        "acme/web-01",
        VERBATIM,
    ),
    (
        "/publish/metrics/",
        "metrics",
        "iem.metric",
        "acme/m",
        r#"{"envcustomerid":"acme","entity":"e","mappedentityid":"m"}"#,
    ),
    (
        "/publish/entity/",
        "entities",
        "iem.entity",
        "acme/e",
        r#"{"envcustomer_id":"acme","entityid":"e"}"#,
    ),
    (
        "/publish/service/",
        "services",
        "iem.service",
        "acme/s",
        r#"{"envcustomer_id":"acme","servicename":"s"}"#,
    ),
    (
        "/publish/healthcheck/",
        "healthchecks",
        "iem.healthcheck",
        "acme/h",
        r#"{"envcustomer_id":"acme","host":"h"}"#,
    ),
    (
        TICKETS,
        "tickets",
        "iem.ticket",
        "acme/t",
        r#"{"state":6,"sysid":"t"}"#,
    ),
];

#[test]
fn one_line_swaps_the_sink_and_nothing_else() {
    let (kafka, pubsub) = (Kafka::shared(), PubSub::shared());
    let mut home = issued_tokens::home().with_backends(kafka, pubsub);
    for topic in TOPICS {
        kafka.create_topic(&name(topic), 1, 1, &[]);
        pubsub.create_topic(&name(topic));
        home = home.set(&format!("topics.{topic}.name"), name(topic));
        // Else Pub/Sub has no order that could be compared.
        home = home.set(&format!("topics.{topic}.ordering"), true);
    }

    // The cases fail to log in more often than one client may in a minute.
    home = home
        .set("login.failures_per_user", 1_000_000)
        .set("login.failures_per_peer", 1_000_000);
    let gateways =
        ["file", "kafka", "pubsub"].map(|sink| home.clone().set("sink.type", sink).start());
    thread::scope(|scope| {
        for gateway in &gateways {
            scope.spawn(|| send_all(gateway));
        }
    });

    let in_files = read(|topic| home.records(topic).into_iter().map(Arrived::from).collect());
    let at_kafka = read(|topic| read_kafka(kafka, topic));
    let at_pubsub = read(|topic| read_pubsub(pubsub, topic));
    for topic in TOPICS {
        assert_same(
            &at_kafka[topic],
            &at_pubsub[topic],
            "what Kafka and what Pub/Sub has",
        );
        let compacted: Vec<_> = at_kafka[topic]
            .iter()
            .cloned()
            .map(without_white_space)
            .collect();
        let lines: Vec<_> = in_files[topic]
            .iter()
            .cloned()
            .map(without_white_space)
            .collect();
        assert_same(&lines, &compacted, "what the files and what Kafka has");
    }
    for (_, topic, kind, key, body) in RECORDS {
        let expected = expected(kind, key, body);
        let count = at_kafka[topic]
            .iter()
            .filter(|arrived| **arrived == expected)
            .count();
        assert_eq!(count, 1, "{expected:?}");
    }
}

/// Shows the first records that differ, and not the hundreds around them.
#[track_caller]
fn assert_same(found: &[Arrived], expected: &[Arrived], what: &str) {
    for (one, other) in found.iter().zip(expected) {
        assert_eq!(one, other, "{what}");
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

/// A topic's name at every backend.
fn name(topic: &str) -> String {
    format!("swap-{topic}")
}

/// Sends all cases of the contract, and then one record of each kind.
fn send_all(gateway: &Gateway) {
    for file in contract::FILES {
        contract::answers_as_expected(gateway, file);
    }
    let token = gateway.token("alice");
    for (path, _, _, _, body) in RECORDS {
        gateway
            .send(&post(path, body).cookie(&token).header("traceparent", TRACE))
            .expect(200);
    }
}

/// Reads what each topic holds, key by key in order, without what differs from run to run.
fn read(read: impl Fn(&str) -> Vec<Arrived>) -> BTreeMap<&'static str, Vec<Arrived>> {
    let mut topics = BTreeMap::new();
    for topic in TOPICS {
        let mut arrived = read(&name(topic));
        assert!(!arrived.is_empty(), "{topic} has arrived");
        for record in &mut arrived {
            let id = record.attributes.remove("id").expect("an id");
            let time = record.attributes.remove("time").expect("a time");
            assert!(id.len() == 36 && time.ends_with('Z'), "{id} {time}");
            assert_eq!(
                record.key, record.attributes["subject"],
                "the key is the subject"
            );
        }
        arrived.sort_by(|one, other| one.key.cmp(&other.key));
        topics.insert(topic, arrived);
    }
    topics
}

fn without_white_space(arrived: Arrived) -> Arrived {
    Arrived {
        data: compact(&arrived.data),
        ..arrived
    }
}

fn expected(kind: &str, key: &str, body: &str) -> Arrived {
    let mut attributes = vec![
        ("specversion", "1.0"),
        ("source", "iem-gateway"),
        ("type", kind),
        ("subject", key),
        ("customerid", "acme"),
        ("user", "alice@acme.example"),
        ("datacontenttype", "application/json"),
        ("traceparent", TRACE),
    ];
    if kind == "iem.ticket" {
        attributes.extend([
            ("integrationid", "servicenow-1"),
            ("actionablestate", "resolved"),
        ]);
    }
    let attributes = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Arrived {
        key: key.to_owned(),
        attributes,
        data: body.as_bytes().to_vec(),
    }
}
