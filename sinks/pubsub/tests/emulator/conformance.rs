//! The conformance suite, without and with ordering keys.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use iem_sink::testing::{Backend, Stored, conformance};

use super::*;

struct Emulator {
    pubsub: &'static PubSub,
    ordered: bool,
    topics: RefCell<BTreeSet<String>>,
    /// The messages that a topic held before it was broken.
    earlier: RefCell<BTreeMap<String, Vec<Message>>>,
}

impl Backend for Emulator {
    fn open(&self) -> Box<dyn Sink> {
        let ordered_topics = if self.ordered {
            self.topics.borrow().clone()
        } else {
            BTreeSet::new()
        };
        let config = PubSubConfig {
            ordered_topics,
            ..config(self.pubsub.endpoint())
        };
        Box::new(PubSubSink::open(config).unwrap())
    }

    fn create_topic(&self, case: &str) -> String {
        let name = fresh_topic(self.pubsub, case);
        self.topics.borrow_mut().insert(name.clone());
        name
    }

    fn read(&self, topic: &str) -> Vec<Stored> {
        let mut messages = self.earlier.borrow_mut().remove(topic).unwrap_or_default();
        messages.extend(self.pubsub.read_all(topic));
        messages.into_iter().map(stored).collect()
    }

    fn keeps_order(&self) -> bool {
        self.ordered
    }

    fn interrupt(&self, topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        self.pubsub.delete_topic(topic);
        let topic = topic.to_owned();
        Some(Box::new(move || {
            let messages = self.pubsub.read_all(&topic);
            self.pubsub.delete_subscription(&topic);
            self.pubsub.create_topic(&topic);
            self.earlier.borrow_mut().insert(topic, messages);
        }))
    }
}

fn stored(message: Message) -> Stored {
    let attributes =
        message
            .attributes
            .into_iter()
            .map(|(name, value)| match name.strip_prefix("ce-") {
                Some(plain) => (plain.to_owned(), value),
                None if name == "Content-Type" => ("datacontenttype".to_owned(), value),
                None => panic!("an attribute that the binding does not have: {name}"),
            });
    Stored {
        attributes: attributes.collect(),
        data: message.data,
    }
}

fn conforms(ordered: bool) {
    conformance(&Emulator {
        pubsub: PubSub::shared(),
        ordered,
        topics: RefCell::default(),
        earlier: RefCell::default(),
    });
}

#[test]
fn the_pubsub_sink_conforms_without_ordering_keys() {
    conforms(false);
}

#[test]
fn the_pubsub_sink_conforms_with_ordering_keys() {
    conforms(true);
}
