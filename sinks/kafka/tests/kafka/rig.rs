//! Sinks, writers and breakable brokers for the tests.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, topic};
use iem_sink::{Outcome, Record, Sink, SinkError};
use iem_sink_kafka::{KafkaConfig, KafkaSink};
use iem_test_support::brokers::kafka::{Kafka, Options};
use parking_lot::{Mutex, MutexGuard};

/// A deadline that only a fault misses.
pub const AMPLE: Duration = Duration::from_secs(30);

/// Opens a sink onto these brokers. `deadline` is that of its topics.
pub fn sink(bootstrap: &str, deadline: Duration, properties: &[(&str, &str)]) -> KafkaSink {
    KafkaSink::open(config(bootstrap, deadline, properties)).unwrap()
}

pub fn config(bootstrap: &str, deadline: Duration, properties: &[(&str, &str)]) -> KafkaConfig {
    KafkaConfig {
        bootstrap_servers: bootstrap.to_owned(),
        properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        client_id: "iem-gateway-test".to_owned(),
        deadline: Some(deadline),
        workers: 2,
    }
}

pub fn writer(sink: &KafkaSink, name: &str) -> BlockingWriter {
    BlockingWriter::open(sink, &topic(name)).unwrap()
}

pub fn close(sink: KafkaSink) {
    Box::new(sink).close(Instant::now() + AMPLE).unwrap();
}

/// Writes once.
pub fn write(
    writer: &mut BlockingWriter,
    records: &[Record],
    deadline: Duration,
) -> (Vec<Outcome>, Result<(), SinkError>) {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let result = writer.write(records, &mut outcomes, Instant::now() + deadline);
    (outcomes, result)
}

/// Writes records that brokers without faults take at once.
pub fn deliver(writer: &mut BlockingWriter, records: &[Record]) {
    let (outcomes, result) = write(writer, records, AMPLE);
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == Outcome::Delivered),
        "{outcomes:?}: {result:?}"
    );
}

/// Returns the value of a statistic without a label.
pub fn statistic(sink: &KafkaSink, name: &str) -> f64 {
    let statistics = sink.statistics();
    let found = statistics.iter().find(|statistic| statistic.name == name);
    found.unwrap().value
}

/// Returns the broker of the tests that break it, with a guard that lets one test run at a time.
pub fn breakable() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static BREAKABLE: OnceLock<Kafka> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let turn = ONE_AT_A_TIME.lock();
    let kafka = BREAKABLE.get_or_init(|| Kafka::start(&Options::default()));
    // A test that failed may have left it stopped.
    kafka.resume(0);
    (kafka, turn)
}
