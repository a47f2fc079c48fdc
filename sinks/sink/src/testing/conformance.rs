//! What every sink must do, whatever its backend: the suite that each sink crate runs against
//! itself.
//!
//! A sink crate implements [`Backend`] for its test rig and calls [`conformance`] from a test. A
//! case that fails panics, and says which case it was and what was expected.

mod cases;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{DATA_CONTENT_TYPE, Outcome, Record, Sink, SinkError, TopicConfig, Writer};

/// A backend under test: how to open a sink onto it, and how to see what it holds.
pub trait Backend {
    /// Opens a sink. Before the next one is opened, it is closed.
    fn open(&self) -> Box<dyn Sink>;

    /// Makes an empty topic for the case of this name (letters and `-`), and says its name at the
    /// backend. The default makes none, and names it after the case: for backends that make
    /// topics when they are first written to.
    fn create_topic(&self, case: &str) -> String {
        case.to_owned()
    }

    /// All that the topic holds, oldest first. Called with the sink closed.
    fn read(&self, topic: &str) -> Vec<Stored>;

    /// Whether records of one key come back in the order they were written in.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Whether the backend's format keeps a record on one line, and so drops each line break
    /// between tokens with the spaces and tabs behind it.
    fn joins_lines(&self) -> bool {
        false
    }

    /// Breaks the topic, so that writes to it fail, and gives back what heals it. `None` where that
    /// cannot be done: the cases that need it are left out then.
    fn interrupt(&self, _topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
        None
    }
}

/// A record as the backend holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The `CloudEvents` attributes by their plain names (`id`, `customerid`, …),
    /// `datacontenttype` included.
    pub attributes: BTreeMap<String, String>,
    /// The record's bytes.
    pub data: Vec<u8>,
}

/// Runs every case against `backend`, each on a topic of its own.
///
/// # Panics
/// Where the sink does not keep the contract.
pub fn conformance(backend: &dyn Backend) {
    for (name, case) in cases::ALL {
        eprintln!("conformance: {name}");
        let topic = backend.create_topic(name);
        case(&Rig { backend, topic });
    }
}

/// A backend with the topic of one case.
struct Rig<'a> {
    backend: &'a dyn Backend,
    topic: String,
}

/// Long enough that only a fault misses it.
const AMPLE: Duration = Duration::from_secs(30);

impl Rig<'_> {
    /// Opens the sink, lets `use_it` work with a writer of the case's topic, and closes it.
    fn with_writer<T>(&self, use_it: impl FnOnce(&mut dyn Writer) -> T) -> T {
        let sink = self.backend.open();
        let mut writer = open_writer(&*sink, &super::topic(&self.topic));
        let result = use_it(&mut *writer);
        drop(writer);
        close(sink);
        result
    }

    fn read(&self) -> Vec<Stored> {
        self.backend.read(&self.topic)
    }

    /// Asserts that the topic holds exactly `records`, each once.
    fn expect(&self, records: &[Record]) {
        self.expect_stored(&self.read(), records);
    }

    /// Asserts that `stored` is exactly `records`, each once; in order within each key where the
    /// backend keeps it.
    fn expect_stored(&self, stored: &[Stored], records: &[Record]) {
        let expected: Vec<Stored> = records
            .iter()
            .map(|record| self.as_stored(record))
            .collect();
        let (stored, expected) = (self.comparable(stored), self.comparable(&expected));
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

    /// As the backend should hold `record`.
    fn as_stored(&self, record: &Record) -> Stored {
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

    /// Brings records into an order that depends only on what the backend promises: by key, and by
    /// id where even the order within a key is open.
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

fn open_writer(sink: &dyn Sink, topic: &TopicConfig) -> Box<dyn Writer> {
    sink.writer(topic)
        .unwrap_or_else(|error| panic!("a writer of {} opens: {error}", topic.name))
}

fn close(sink: Box<dyn Sink>) {
    sink.close(Instant::now() + AMPLE).expect("the sink closes");
}

/// Writes once, and checks that what came back keeps the contract.
fn write(
    writer: &mut dyn Writer,
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
fn deliver(writer: &mut dyn Writer, records: &[Record]) {
    let (outcomes, result) = write(writer, records, AMPLE);
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Outcome::Delivered),
        "all is delivered: {result:?}"
    );
}

/// Writes what is left retryable again until all is delivered, as the pipeline does.
fn deliver_in_the_end(writer: &mut dyn Writer, records: &[Record]) {
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

/// The records that came to this outcome.
fn keep(records: &[Record], outcomes: &[Outcome], wanted: &Outcome) -> Vec<Record> {
    let pairs = records.iter().zip(outcomes);
    pairs
        .filter(|(_, outcome)| *outcome == wanted)
        .map(|(record, _)| record.clone())
        .collect()
}

/// Each record's first appearance: what a reader that drops repeated ids sees.
fn first_appearances(stored: Vec<Stored>) -> Vec<Stored> {
    let mut seen = std::collections::HashSet::new();
    stored
        .into_iter()
        .filter(|stored| seen.insert(stored.attributes.get("id").cloned()))
        .collect()
}

/// Drops each line break and the spaces and tabs behind it. A raw line break never stands inside a
/// JSON string.
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
    use crate::testing::{Behaviour, ScriptedSink};

    /// The scripted sink, and a fault that what is read back of it gets.
    struct Scripted(ScriptedSink, fn(&mut Vec<Stored>));

    impl Backend for Scripted {
        fn open(&self) -> Box<dyn Sink> {
            Box::new(self.0.clone())
        }

        fn read(&self, topic: &str) -> Vec<Stored> {
            let rig = Rig {
                backend: self,
                topic: topic.to_owned(),
            };
            let mut stored = self
                .0
                .log(topic)
                .delivered
                .iter()
                .map(|record| rig.as_stored(record))
                .collect();
            self.1(&mut stored);
            stored
        }

        fn interrupt(&self, topic: &str) -> Option<Box<dyn FnOnce() + '_>> {
            self.0
                .set(topic, Behaviour::Fail(SinkError::transient("interrupted")));
            let topic = topic.to_owned();
            Some(Box::new(move || self.0.set(&topic, Behaviour::Deliver)))
        }
    }

    #[test]
    fn the_scripted_sink_conforms() {
        conformance(&Scripted(ScriptedSink::new(), |_| ()));
    }

    #[test]
    fn a_sink_that_spoils_records_does_not_conform() {
        let faults: [fn(&mut Vec<Stored>); 5] = [
            |stored| drop(stored.pop()),
            |stored| stored.extend(stored.last().cloned()),
            |stored| stored.reverse(),
            |stored| stored.iter_mut().for_each(|stored| stored.data.push(b' ')),
            |stored| {
                stored
                    .iter_mut()
                    .for_each(|stored| drop(stored.attributes.remove("user")))
            },
        ];
        for fault in faults {
            let backend = Scripted(ScriptedSink::new(), fault);
            let run =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| conformance(&backend)));
            assert!(run.is_err());
        }
    }

    #[test]
    fn lines_are_joined_between_tokens_only() {
        assert_eq!(
            join_lines(b"{\r\n\t \"a\": \"b  c\",\n\n  \"d\":\t1\n}"),
            b"{\"a\": \"b  c\",\"d\":\t1}"
        );
    }
}
