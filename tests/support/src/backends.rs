//! Homes whose topics are at a real Kafka or Pub/Sub, and what readers that are not ours find
//! there.

use std::collections::BTreeMap;

use iem_test_brokers::kafka::{self, Kafka};
use iem_test_brokers::pubsub::{self, PROJECT, PubSub};
use serde_json::Value;

use super::home::Home;
use super::records::Line;

/// The topics, by the names that the configuration has for them.
pub(crate) const TOPICS: [&str; 6] = [
    "events",
    "metrics",
    "entities",
    "services",
    "healthchecks",
    "tickets",
];

impl Home {
    /// Fills in the tables of all sinks. Which one is used is still to be said.
    pub(crate) fn with_backends(self, kafka: &Kafka, pubsub: &PubSub) -> Self {
        self.set("sink.kafka.bootstrap_servers", kafka.bootstrap())
            .set("sink.pubsub.project", PROJECT)
            .set("sink.pubsub.endpoint", pubsub.endpoint())
    }

    /// Events alone go to Kafka, to this topic; all else stays in files.
    pub(crate) fn events_at_kafka(self, bootstrap: &str, name: &str) -> Self {
        self.set("sink.kafka.bootstrap_servers", bootstrap)
            .topic_at("events", "kafka", name)
    }

    /// Sets a property of the Kafka client.
    pub(crate) fn kafka_property(self, name: &str, value: &str) -> Self {
        self.set(&format!("sink.kafka.properties.\"{name}\""), value)
    }

    /// Events alone go to Pub/Sub, to this topic; all else stays in files.
    pub(crate) fn events_at_pubsub(self, endpoint: &str, name: &str) -> Self {
        self.set("sink.pubsub.project", PROJECT)
            .set("sink.pubsub.endpoint", endpoint)
            .topic_at("events", "pubsub", name)
    }

    /// One topic goes to this sink, under this name.
    pub(crate) fn topic_at(self, topic: &str, sink: &str, name: &str) -> Self {
        self.set(&format!("topics.{topic}.sink"), sink)
            .set(&format!("topics.{topic}.name"), name)
    }
}

/// A record as a reader finds it, whatever the sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrived {
    /// The ordering key, where the backend takes one: Kafka's key, Pub/Sub's ordering key, a
    /// line's subject.
    pub(crate) key: String,
    /// By their `CloudEvents` names.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The record's bytes.
    pub(crate) data: Vec<u8>,
}

impl Arrived {
    /// The `test_id` that a test put into its record.
    pub(crate) fn test_id(&self) -> String {
        let record: Value =
            serde_json::from_slice(&self.data).expect("a record that the tests can read");
        record["test_id"]
            .as_str()
            .expect("the record's own id")
            .to_owned()
    }
}

/// A reader of the `CloudEvents` Kafka binding, binary mode.
impl From<kafka::Message> for Arrived {
    fn from(message: kafka::Message) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("a key and headers in UTF-8");
        let attribute = |(name, value): (String, Vec<u8>)| {
            (attribute(&name, "ce_", "content-type"), text(value))
        };
        let count = message.headers.len();
        let attributes: BTreeMap<_, _> = message.headers.into_iter().map(attribute).collect();
        assert_eq!(attributes.len(), count, "no header twice");
        Self {
            key: text(message.key.expect("a key")),
            attributes,
            data: message.payload,
        }
    }
}

/// A reader of the `CloudEvents` Pub/Sub binding, binary mode.
impl From<pubsub::Message> for Arrived {
    fn from(message: pubsub::Message) -> Self {
        let attribute =
            |(name, value): (String, String)| (attribute(&name, "ce-", "Content-Type"), value);
        let attributes = message.attributes.into_iter().map(attribute).collect();
        Self {
            key: message.ordering_key,
            attributes,
            data: message.data,
        }
    }
}

/// A reader of the `CloudEvents` JSON format.
impl From<Line> for Arrived {
    fn from(line: Line) -> Self {
        let text = |value: Value| value.as_str().expect("attributes are texts").to_owned();
        let key = line.attribute("subject").to_owned();
        let attributes = line
            .attributes
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect();
        Self {
            key,
            attributes,
            data: line.data,
        }
    }
}

/// The `CloudEvents` name of what a binding calls otherwise. Nothing else goes with a record.
fn attribute(name: &str, prefix: &str, content_type: &str) -> String {
    if name == content_type {
        return "datacontenttype".to_owned();
    }
    name.strip_prefix(prefix)
        .unwrap_or_else(|| panic!("no attribute of a CloudEvent: {name}"))
        .to_owned()
}

/// All that a Kafka topic holds: partition by partition, oldest first.
pub(crate) fn read_kafka(kafka: &Kafka, topic: &str) -> Vec<Arrived> {
    kafka
        .read_all(topic)
        .into_iter()
        .map(Arrived::from)
        .collect()
}

/// What a Pub/Sub topic holds that has not been read before, in the order in which it is handed
/// out.
pub(crate) fn read_pubsub(pubsub: &PubSub, topic: &str) -> Vec<Arrived> {
    pubsub
        .read_all(topic)
        .into_iter()
        .map(Arrived::from)
        .collect()
}

/// The tests' own ids of records.
pub(crate) fn test_ids(arrived: &[Arrived]) -> Vec<String> {
    arrived.iter().map(Arrived::test_id).collect()
}
