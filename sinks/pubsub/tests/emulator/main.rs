//! The Pub/Sub sink against Google's emulator, read back over REST by an independent consumer.
#![allow(clippy::unwrap_used)]

mod access;
mod conformance;
mod delivery;
mod far_away;
mod faults;
mod late;
mod limits;
mod proxy;
mod schemas;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Outcome, Record, Sink, SinkError};
use iem_sink_pubsub::{PubSubConfig, PubSubSink};
use iem_test_support::brokers::pubsub::{Message, PROJECT, PubSub};

/// A deadline that only a fault misses.
const AMPLE: Duration = Duration::from_secs(30);

/// The time that a call may take past its deadline on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

fn config(endpoint: String) -> PubSubConfig {
    PubSubConfig {
        project: PROJECT.to_owned(),
        endpoint: Some(endpoint),
        ..PubSubConfig::default()
    }
}

fn open(pubsub: &PubSub) -> PubSubSink {
    PubSubSink::open(config(pubsub.endpoint())).unwrap()
}

/// Opens a sink that sends ordering keys to this topic.
fn open_ordered(pubsub: &PubSub, name: &str) -> PubSubSink {
    let ordered_topics = [name.to_owned()].into();
    PubSubSink::open(PubSubConfig {
        ordered_topics,
        ..config(pubsub.endpoint())
    })
    .unwrap()
}

/// Returns a name that no other test uses.
fn fresh_name(about: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{about}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn fresh_topic(pubsub: &PubSub, about: &str) -> String {
    let name = fresh_name(about);
    pubsub.create_topic(&name);
    name
}

fn writer(sink: &PubSubSink, name: &str) -> BlockingWriter {
    BlockingWriter::open(sink, &topic(name))
        .unwrap_or_else(|error| panic!("a writer of {name} opens: {error}"))
}

/// Writes once. Asserts that the call returns in time, and that its result agrees with the
/// outcomes.
fn write(
    writer: &mut BlockingWriter,
    records: &[Record],
    deadline: Duration,
) -> (Vec<Outcome>, Result<(), SinkError>) {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let began = Instant::now();
    let result = writer.write(records, &mut outcomes, began + deadline);
    assert!(
        began.elapsed() < deadline + SLACK,
        "returned after {:?} of {deadline:?}",
        began.elapsed()
    );
    assert_eq!(
        result.is_err(),
        outcomes.contains(&Outcome::Retryable),
        "{result:?}"
    );
    (outcomes, result)
}

fn deliver(writer: &mut BlockingWriter, records: &[Record]) {
    let (outcomes, result) = write(writer, records, AMPLE);
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Outcome::Delivered),
        "{result:?}"
    );
}

/// Creates records that carry their number, of `keys` keys in turn.
fn numbered(count: usize, keys: usize) -> Vec<Record> {
    (0..count)
        .map(|n| record(&format!("1001/{}", n % keys), format!(r#"{{"n":{n}}}"#)))
        .collect()
}

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// Counts how often each id was read.
fn counts(messages: &[Message]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts
            .entry(message.attributes["ce-id"].clone())
            .or_default() += 1;
    }
    counts
}

/// Asserts that exactly these records are there, each once, their bytes unchanged.
fn assert_once(messages: &[Message], records: &[Record]) {
    assert_eq!(messages.len(), records.len());
    let by_id: BTreeMap<_, _> = messages
        .iter()
        .map(|message| (&message.attributes["ce-id"], message))
        .collect();
    for record in records {
        let message = by_id
            .get(&record.id.to_string())
            .expect("each record is there");
        assert!(message.data == record.data, "bytes are unchanged");
    }
}
