//! The topics: `[topics.…]`, a table for each kind of record.

use std::fmt;
use std::time::Duration;

use iem_sink::TopicConfig;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::durability::Durability;
use super::sinks::SinkKind;
use super::units;
use crate::record::Kind;

/// The batches of a worker that may be in flight at once.
pub const BATCHES_IN_FLIGHT: usize = 4;

/// The most records of a topic that its sink has refused and that wait to be kept, less a quarter.
pub const REJECTED_RECORDS: usize = 7500;

/// The most bytes of these records, unless one body is larger.
pub const REJECTED_BYTES: usize = 16 << 20;

/// The names of the tables, in the order of [`Kind::ALL`].
const NAMES: [&str; Kind::COUNT] = {
    let mut names = [""; Kind::COUNT];
    let mut index = 0;
    while index < Kind::COUNT {
        names[index] = Kind::ALL[index].topic();
        index += 1;
    }
    names
};

/// `[topics.…]`: one topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Topic {
    /// The name at the backend: letters, digits, `.`, `_` and `-`; no path.
    pub name: String,
    /// The sink that its records go to.
    pub sink: SinkKind,
    /// The fields that may give a record its ordering key, in order; empty: the customer alone.
    pub key: Vec<String>,
    /// Records waiting.
    pub queue_records: usize,
    /// Bytes of records waiting.
    #[serde(deserialize_with = "units::size")]
    pub queue_bytes: usize,
    /// Records in one batch.
    pub batch_records: usize,
    /// Bytes in one batch; a single larger record is a batch of its own.
    #[serde(deserialize_with = "units::size")]
    pub batch_bytes: usize,
    /// The time that a batch waits for more records.
    #[serde(deserialize_with = "units::duration")]
    pub linger: Duration,
    /// The time from a record's acceptance to its confirmation.
    #[serde(deserialize_with = "units::duration")]
    pub deadline: Duration,
    /// The meaning of an answer of 200, unless the request asks for more.
    pub durability: Durability,
    /// Keeps records that the sink refuses for good. A topic with a journal does so in any case.
    pub dead_letter: bool,
    /// Workers, each with batches of its own in flight.
    pub workers: usize,
    /// At Pub/Sub, the ordering key is sent as Pub/Sub's own.
    pub ordering: bool,
}

impl Topic {
    /// Returns the part of the configuration that its sink takes.
    pub fn for_sink(&self) -> TopicConfig {
        TopicConfig {
            name: self.name.clone(),
            workers: self.workers,
            batch_records: self.batch_records,
            batch_bytes: self.batch_bytes,
            deadline: self.deadline,
            is_persistent: self.is_journaled(),
        }
    }

    /// Returns whether a journal is in front of the sink.
    pub fn is_journaled(&self) -> bool {
        self.durability == Durability::Journaled
    }

    /// Returns whether records that the sink refuses for good are kept.
    pub fn keeps_dead_letters(&self) -> bool {
        self.dead_letter || self.is_journaled()
    }

    /// Returns whether records that the sink refuses wait in a queue to be kept. A journal has them
    /// until they are.
    pub fn has_rejected_queue(&self) -> bool {
        self.dead_letter && !self.is_journaled()
    }
}

/// Reads a table for each kind of record.
pub(super) fn topics<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[Topic; Kind::COUNT], D::Error> {
    deserializer.deserialize_map(TopicsVisitor)
}

struct TopicsVisitor;

impl<'de> Visitor<'de> for TopicsVisitor {
    type Value = [Topic; Kind::COUNT];

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<Self::Value, A::Error> {
        let mut topics: [Option<Topic>; Kind::COUNT] = [const { None }; Kind::COUNT];
        while let Some(TopicName(kind)) = tables.next_key()? {
            topics[kind as usize] = Some(tables.next_value()?);
        }
        if let Some(index) = topics.iter().position(Option::is_none) {
            return Err(A::Error::missing_field(NAMES[index]));
        }
        Ok(topics.map(|topic| topic.expect("none is missing")))
    }
}

/// The name of a topic's table, as a kind of record.
struct TopicName(Kind);

impl<'de> Deserialize<'de> for TopicName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        NAMES
            .iter()
            .position(|known| *known == name)
            .map(|index| Self(Kind::ALL[index]))
            .ok_or_else(|| D::Error::unknown_field(&name, &NAMES))
    }
}
