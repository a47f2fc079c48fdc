//! The meaning of an answer of 200 for its records.

use std::fmt;

use serde::Deserialize;

/// The place where a record is safe. The later one is safer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced in the local journal. It reaches the sink later.
    Journaled,
    /// At the sink.
    Delivered,
}

impl Durability {
    /// Returns the name in the header `IEM-Durability` and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journaled => "journaled",
            Self::Delivered => "delivered",
        }
    }

    /// Returns the durability of this name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Journaled, Self::Delivered]
            .into_iter()
            .find(|durability| durability.name().as_bytes() == name)
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
