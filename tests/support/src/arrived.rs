//! Records as readers that are not ours find them, in files, at Kafka and at Pub/Sub.

mod lines;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::brokers::kafka::{self, Kafka};
use crate::brokers::pubsub::{self, PubSub};
use serde_json::Value;

pub use lines::{Line, for_each_line, read_lines, read_lines_so_far};

/// A record as a reader finds it, whatever the sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    /// The ordering key, where the backend takes one: Kafka's key, Pub/Sub's ordering key, a
    /// line's subject.
    pub key: String,
    /// The attributes, by their `CloudEvents` names.
    pub attributes: BTreeMap<String, String>,
    /// The record's bytes.
    pub data: Vec<u8>,
}

impl Arrived {
    /// Returns when the record's request came to the gateway, to the millisecond: what its id says
    /// (RFC 9562, 5.7).
    pub fn received(&self) -> SystemTime {
        let digits = self.attributes["id"].replace('-', "");
        let millis = u64::from_str_radix(&digits[..12], 16).expect("an id in hexadecimal digits");
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    /// The `test_id` that a test put into its record.
    pub fn test_id(&self) -> String {
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
        let key = line.attribute("subject").to_owned();
        let mut attributes = BTreeMap::new();
        for (name, value) in line.attributes {
            let text = value.as_str().expect("attributes are texts");
            attributes.insert(name, text.to_owned());
        }
        Self {
            key,
            attributes,
            data: line.data,
        }
    }
}

/// Returns the `CloudEvents` name of a binding's attribute. Nothing else goes with a record.
fn attribute(name: &str, prefix: &str, content_type: &str) -> String {
    if name == content_type {
        return "datacontenttype".to_owned();
    }
    name.strip_prefix(prefix)
        .unwrap_or_else(|| panic!("no attribute of a CloudEvent: {name}"))
        .to_owned()
}

/// Reads all that a Kafka topic holds: partition by partition, oldest first.
pub fn read_kafka(kafka: &Kafka, topic: &str) -> Vec<Arrived> {
    kafka
        .read_all(topic)
        .into_iter()
        .map(Arrived::from)
        .collect()
}

/// Reads all that a Pub/Sub topic holds and that has not been read before, in the order of its
/// delivery.
pub fn read_pubsub(pubsub: &PubSub, topic: &str) -> Vec<Arrived> {
    pubsub
        .read_all(topic)
        .into_iter()
        .map(Arrived::from)
        .collect()
}

/// Returns the ids that tests gave to the records.
pub fn test_ids(arrived: &[Arrived]) -> Vec<String> {
    arrived.iter().map(Arrived::test_id).collect()
}
