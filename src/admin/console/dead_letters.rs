//! The dead letters of a topic as the console shows them. Nothing of a record's data is among them.

use std::time::SystemTime;

/// The dead letters that are shown.
pub const SHOWN_MAX: usize = 10;

/// The files of a topic's dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// The files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The latest letters, the last one first.
    pub latest: Vec<DeadLetter>,
    /// The reason why they could not be read.
    pub error: Option<String>,
}

/// A record that its sink will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id of the record.
    pub id: String,
    /// The time at which it was accepted.
    pub time: SystemTime,
    /// Its customer.
    pub customer: String,
    /// The email of the user who sent it.
    pub user: String,
    /// The bytes of its data.
    pub bytes: usize,
    /// The reason of the sink.
    pub reason: String,
}
