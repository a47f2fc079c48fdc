//! `[journal]`: the write-ahead logs of topics whose durability is `journaled`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// `[journal]`: where journals are, and the bounds of each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Journal {
    /// The folder that has a folder for each journaled topic.
    pub path: PathBuf,
    /// A folder that is not there is made. If not, it is an error.
    pub create: bool,
    /// Bytes of one topic's segments.
    #[serde(deserialize_with = "units::size")]
    pub bytes: usize,
    /// The age of the oldest record that the sink does not have, beyond which nothing more is taken.
    #[serde(deserialize_with = "units::duration")]
    pub age: Duration,
    /// Records of one topic on their way from the journal to the sink.
    pub window_records: usize,
    /// Their bytes.
    #[serde(deserialize_with = "units::size")]
    pub window_bytes: usize,
    /// Records of one topic a second that are forwarded at most.
    #[serde(deserialize_with = "units::rate")]
    pub drain_rate: Option<NonZeroU32>,
    /// Bytes of one topic's dead letters.
    #[serde(deserialize_with = "units::size")]
    pub dead_letter_bytes: usize,
    /// The answer to damage.
    pub on_damage: OnDamage,
}

/// The answer of a start to damage in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDamage {
    /// Report what is lost, and go on with the rest.
    Report,
    /// Do not start.
    Refuse,
}
