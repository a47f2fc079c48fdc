//! Records to Apache Kafka: `Delivered` means that all in-sync replicas of the partition have the
//! record.
//!
//! The sink has one idempotent producer (librdkafka) for each worker that a topic may have, and
//! every producer serves all topics: brokers take five requests of a producer at once, and a
//! request holds the records of one partition. A record becomes a message by the binary mode of the
//! `CloudEvents` Kafka binding: attributes are headers, the ordering key is the key, the client's
//! bytes are the value. Records of one key go to one partition, the one that Java's clients choose,
//! and stay in order there, retries included.
//!
//! If a broker is slow or away, a record's outcome is open when its deadline passes. It is then
//! not acknowledged, and may be stored nevertheless: librdkafka keeps trying until a second after
//! the topics' longest deadline. Nothing is ever acknowledged that is not stored.
//!
//! The gateway never creates a topic: one that is missing is refused by name. A topic's
//! `max.message.bytes` is read when it is opened: a limit that is raised later takes effect at the
//! next start, one that is lowered at once.
//!
//! TLS, SASL PLAIN and SCRAM are librdkafka's own properties. With SASL OAUTHBEARER the token is
//! read from the file that `sasl.oauthbearer.token.endpoint.url` names as `file:///…`.

mod config;
mod events;
mod failure;
mod in_flight;
mod inspect;
mod message;
mod producer;
mod properties;
mod sink;
mod statistics;
mod token;
mod topic;
mod writer;

pub use config::KafkaConfig;
pub use sink::KafkaSink;
