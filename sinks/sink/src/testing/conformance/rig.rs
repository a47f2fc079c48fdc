//! The rig of one case: opens writers, writes, and compares what is read back.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::backend::{Backend, Stored};
use crate::testing::blocking::BlockingWriter;
use crate::testing::sample::topic;
use crate::{DATA_CONTENT_TYPE, Outcome, Record, Sink, SinkError, TopicConfig};

/// A backend with the topic of one case.
pub(super) struct Rig<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) topic: String,
}

/// A deadline that only a fault misses.
pub(super) const AMPLE: Duration = Duration::from_secs(30);

impl Rig<'_> {
    /// Opens the sink, passes a writer of the case's topic to `use_it`, and closes the sink.
    pub(super) fn with_writer<T>(&self, use_it: impl FnOnce(&mut BlockingWriter) -> T) -> T {
        let sink = self.backend.open();
        let mut writer = open_writer(&*sink, &topic(&self.topic));
        let result = use_it(&mut writer);
        drop(writer);
        close(sink);
        result
    }

    pub(super) fn read(&self) -> Vec<Stored> {
        self.backend.read(&self.topic)
    }

    /// Asserts that the topic holds exactly `records`, each once.
    pub(super) fn expect(&self, records: &[Record]) {
        self.expect_stored(&self.read(), records);
    }

    /// Asserts that `stored` is exactly `records`, each once, and in order within each key if the
    /// backend keeps it.
    pub(super) fn expect_stored(&self, stored: &[Stored], records: &[Record]) {
        let expected: Vec<Stored> = records
            .iter()
            .map(|record| self.as_stored(record))
            .collect();
        let stored = self.comparable(stored);
        let expected = self.comparable(&expected);
        assert_eq!(
            stored.len(),
            expected.len(),
            "as many records are read as were delivered"
        );
        for (stored, expected) in stored.iter().zip(&expected) {
            assert_eq!(stored.attributes, expected.attributes);
            assert!(
                stored.data == expected.data,
                "data written as\n{}\nis read as\n{}",
                String::from_utf8_lossy(&expected.data),
                String::from_utf8_lossy(&stored.data)
            );
        }
    }

    /// Returns `record` as the backend should hold it.
    pub(super) fn as_stored(&self, record: &Record) -> Stored {
        let mut attributes =
            BTreeMap::from([("datacontenttype".to_owned(), DATA_CONTENT_TYPE.to_owned())]);
        record.for_each_attribute(|name, value| {
            attributes.insert(name.to_owned(), value.to_owned());
        });
        let data = if self.backend.joins_lines() {
            join_lines(&record.data)
        } else {
            record.data.to_vec()
        };
        Stored { attributes, data }
    }

    /// Sorts records into an order that depends only on the backend's promises: by key, and by id
    /// if even the order within a key is open.
    fn comparable(&self, stored: &[Stored]) -> Vec<Stored> {
        let mut stored = stored.to_vec();
        let attribute = |stored: &Stored, name: &str| stored.attributes.get(name).cloned();
        if !self.backend.keeps_order() {
            stored.sort_by_key(|stored| attribute(stored, "id"));
        }
        stored.sort_by_key(|stored| attribute(stored, "subject"));
        stored
    }
}

pub(super) fn open_writer(sink: &dyn Sink, topic: &TopicConfig) -> BlockingWriter {
    BlockingWriter::open(sink, topic)
        .unwrap_or_else(|error| panic!("a writer of {} opens: {error}", topic.name))
}

pub(super) fn close(sink: Box<dyn Sink>) {
    sink.close(Instant::now() + AMPLE).expect("the sink closes");
}

/// Writes once, and asserts that outcomes and result keep the contract.
pub(super) fn write(
    writer: &mut BlockingWriter,
    records: &[Record],
    deadline: Duration,
) -> (Vec<Outcome>, Result<(), SinkError>) {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let result = writer.write(records, &mut outcomes, Instant::now() + deadline);
    let retryable = outcomes.contains(&Outcome::Retryable);
    assert_eq!(
        result.is_err(),
        retryable,
        "an error says why records are left retryable: {result:?}"
    );
    (outcomes, result)
}

/// Writes records that a backend without faults takes at once.
pub(super) fn deliver(writer: &mut BlockingWriter, records: &[Record]) {
    let (outcomes, result) = write(writer, records, AMPLE);
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Outcome::Delivered),
        "all is delivered: {result:?}"
    );
}

/// Writes retryable records again until all are delivered, as the pipeline does.
pub(super) fn deliver_in_the_end(writer: &mut BlockingWriter, records: &[Record]) {
    let mut left = records.to_vec();
    let end = Instant::now() + AMPLE;
    while !left.is_empty() {
        let (outcomes, result) = write(writer, &left, AMPLE);
        left = keep(&left, &outcomes, &Outcome::Retryable);
        assert!(
            left.is_empty() || Instant::now() < end,
            "a healed backend takes records: {result:?}"
        );
    }
}

/// Returns the records with this outcome.
pub(super) fn keep(records: &[Record], outcomes: &[Outcome], wanted: &Outcome) -> Vec<Record> {
    let pairs = records.iter().zip(outcomes);
    pairs
        .filter(|(_, outcome)| *outcome == wanted)
        .map(|(record, _)| record.clone())
        .collect()
}

/// Returns each record's first appearance, as a reader sees it that drops repeated ids.
pub(super) fn first_appearances(stored: Vec<Stored>) -> Vec<Stored> {
    let mut seen = HashSet::new();
    stored
        .into_iter()
        .filter(|stored| seen.insert(stored.attributes.get("id").cloned()))
        .collect()
}

/// Drops each line break and the spaces and tabs behind it. A JSON string never contains a raw line
/// break.
fn join_lines(data: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(data.len());
    let mut indentation = false;
    for &byte in data {
        match byte {
            b'\n' | b'\r' => indentation = true,
            b' ' | b'\t' if indentation => {}
            _ => {
                indentation = false;
                joined.push(byte);
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_between_tokens_only() {
        assert_eq!(
            join_lines(b"{\r\n\t \"a\": \"b  c\",\n\n  \"d\":\t1\n}"),
            b"{\"a\": \"b  c\",\"d\":\t1}"
        );
    }
}
