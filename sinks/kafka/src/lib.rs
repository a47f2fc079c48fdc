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
//! A record is in flight until librdkafka reports on it. The partition of its key is its unit: one
//! without a leader holds up no other. librdkafka cannot take a record back, and keeps trying for
//! the topics' longest deadline, counted from the hand-over. A record is handed over only in the
//! first half of its topic's deadline, so it may be sent for the longest deadline less half of its
//! own, and about a second (librdkafka looks once a second), after its request was answered 503.
//! Nothing is ever acknowledged that is not stored.
//!
//! librdkafka's queue has no bound of its own: the pipeline bounds the records in flight.
//!
//! The gateway never creates a topic: one that is missing is refused by name. A topic's
//! `max.message.bytes` is read when it is opened, and again by checks: a limit that is raised later
//! takes effect within half a minute, one that is lowered at once. With compression the limit bounds
//! bytes that only a broker sees: a large record is then sent, alone, to learn whether it fits.
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
mod reader;
mod sink;
mod statistics;
mod token;
mod topic;
mod writer;

pub use config::KafkaConfig;
pub use properties::codecs;
pub use reader::KafkaReader;
pub use sink::KafkaSink;
