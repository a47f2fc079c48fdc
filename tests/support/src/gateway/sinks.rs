//! Homes whose topics are at a real Kafka or Pub/Sub.

use super::home::Home;
use crate::brokers::kafka::Kafka;
use crate::brokers::pubsub::{PROJECT, PubSub};

impl Home {
    /// Fills in the tables of all sinks, and chooses none.
    pub fn with_backends(self, kafka: &Kafka, pubsub: &PubSub) -> Self {
        self.set("sink.kafka.bootstrap_servers", kafka.bootstrap())
            .set("sink.pubsub.project", PROJECT)
            .set("sink.pubsub.endpoint", pubsub.endpoint())
    }

    /// Sends events, and nothing else, to this topic of Kafka.
    pub fn events_at_kafka(self, bootstrap: &str, name: &str) -> Self {
        self.set("sink.kafka.bootstrap_servers", bootstrap)
            .topic_at("events", "kafka", name)
    }

    /// Sets a property of the Kafka client.
    pub fn kafka_property(self, name: &str, value: &str) -> Self {
        self.set(&format!("sink.kafka.properties.\"{name}\""), value)
    }

    /// Sends events, and nothing else, to this topic of Pub/Sub.
    pub fn events_at_pubsub(self, endpoint: &str, name: &str) -> Self {
        self.set("sink.pubsub.project", PROJECT)
            .set("sink.pubsub.endpoint", endpoint)
            .topic_at("events", "pubsub", name)
    }

    /// Sends one topic to this sink, under this name.
    pub fn topic_at(self, topic: &str, sink: &str, name: &str) -> Self {
        self.set(&format!("topics.{topic}.sink"), sink)
            .set(&format!("topics.{topic}.name"), name)
    }
}
