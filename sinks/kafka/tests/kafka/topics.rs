//! Missing topics, and the findings of an inspection.

use std::time::{Duration, Instant};

use iem_sink::Level;
use iem_sink::testing::{BlockingWriter, topic};
use iem_sink::{Sink as _, SinkErrorKind};
use iem_test_support::brokers::kafka::Kafka;

use crate::rig::{AMPLE, close, sink};

const DEADLINE: Duration = Duration::from_secs(5);

#[test]
fn a_missing_topic_is_refused_by_name_and_not_created() {
    let kafka = Kafka::shared();
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    for _ in 0..2 {
        let error = BlockingWriter::open(&sink, &topic("nowhere"))
            .err()
            .unwrap();
        assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
        assert!(
            error.message.contains("topic nowhere does not exist"),
            "{error}"
        );
        assert!(
            error.message.contains("kafka-topics.sh")
                && error.message.contains("--create --topic nowhere")
        );
    }
    sink.check(Instant::now() + AMPLE).unwrap();
    close(sink);
}

#[test]
fn unreachable_brokers_are_named() {
    let sink = sink("127.0.0.1:1", DEADLINE, &[]);
    let mut config = topic("events");
    config.deadline = DEADLINE;
    let error = BlockingWriter::open(&sink, &config).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Transient);
    assert!(
        error.message.contains("127.0.0.1:1") && error.message.contains("refused"),
        "{error}"
    );
}

#[test]
fn an_inspection_finds_existing_and_missing_topics() {
    let kafka = Kafka::shared();
    kafka.create_topic("inspected", 2, 1, &[("max.message.bytes", "50000")]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let mut topics = [topic("inspected"), topic("uninspected")];
    topics[0].workers = 4;
    let findings = sink.inspect(&topics, Instant::now() + AMPLE);
    let found = |level, topic: &str, text: &str| {
        let mut findings = findings.iter();
        assert!(
            findings.any(|one| one.level == level
                && one.what.ends_with(topic)
                && one.text.contains(text)),
            "{level:?} {topic}: {text} in {findings:?}"
        );
    };
    found(Level::Good, "inspected", "2 partitions, all with a leader");
    found(Level::Good, "inspected", "up to 50000 bytes");
    found(Level::Good, "inspected", "may be written");
    found(Level::Weak, "inspected", "one replica");
    found(
        Level::Weak,
        "inspected",
        "--alter --topic inspected --partitions 4",
    );
    found(Level::Bad, "uninspected", "--create --topic uninspected");
    assert_eq!(
        findings
            .iter()
            .filter(|finding| finding.level == Level::Bad)
            .count(),
        1
    );
    assert_eq!(
        kafka.read_all("inspected"),
        [],
        "an inspection writes nothing"
    );
    close(sink);
}
