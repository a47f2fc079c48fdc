//! The conformance suite on a real broker, which is paused to break it.

use std::collections::BTreeMap;
use std::time::Duration;

use iem_sink::Sink;
use iem_sink::testing::{Backend, Stored, conformance};
use iem_test_support::brokers::kafka::{Kafka, Options};

use crate::rig::sink;

struct Broker<'a>(&'a Kafka);

impl Backend for Broker<'_> {
    fn open(&self) -> Box<dyn Sink> {
        Box::new(sink(&self.0.bootstrap(), Duration::from_secs(10), &[]))
    }

    fn create_topic(&self, case: &str) -> String {
        self.0.create_topic(case, 3, 1, &[]);
        case.to_owned()
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        let mut messages = self.0.read_all(topic);
        // There is no order over all partitions; the suite asks for the order within each key.
        messages.sort_by_key(|message| message.offset);
        messages
            .into_iter()
            .map(|message| {
                let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
                let mut attributes: BTreeMap<String, String> = BTreeMap::new();
                for (name, value) in message.headers {
                    let name = match name.as_str() {
                        "content-type" => "datacontenttype",
                        other => other.strip_prefix("ce_").unwrap(),
                    };
                    assert_eq!(
                        attributes.insert(name.to_owned(), text(value)),
                        None,
                        "{name} once"
                    );
                }
                assert_eq!(
                    attributes.get("subject"),
                    message.key.map(text).as_ref(),
                    "the key is the ordering key"
                );
                Stored {
                    attributes,
                    data: message.payload,
                }
            })
            .collect()
    }

    fn interrupt(&self, _topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        self.0.pause(0);
        Some(Box::new(|| self.0.resume(0)))
    }
}

#[test]
fn the_kafka_sink_conforms() {
    // A broker of its own: of the tests that pause a broker, the suite is the longest.
    conformance(&Broker(&Kafka::start(&Options::default())));
}
