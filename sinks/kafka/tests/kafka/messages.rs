//! Messages in a topic, as independent consumers read them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Outcome, Reason, Record, RecordLimit, Sink as _};
use iem_test_support::brokers::kafka::Kafka;

use crate::load;
use crate::rig::{AMPLE, close, deliver, sink, statistic, write, writer};

const DEADLINE: Duration = Duration::from_secs(10);

#[test]
fn kafkas_console_consumer_reads_headers_key_and_value() {
    let kafka = Kafka::shared();
    kafka.create_topic("console", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let record = record("1001/router 7", r#"{ "n": 1.50, "ü": "\u0041" }"#);
    deliver(&mut writer(&sink, "console"), std::slice::from_ref(&record));
    close(sink);
    let mut expected = "content-type:application/json".to_owned();
    record.for_each_attribute(|name, value| write!(expected, ",ce_{name}:{value}").unwrap());
    expected.push_str("\t1001/router 7\t{ \"n\": 1.50, \"ü\": \"\\u0041\" }\n");
    assert_eq!(kafka.console_consumer("console", 1), expected);
}

/// The sink chooses the same partition for a key as Kafka's own clients, so that others may write
/// the topic too.
#[test]
fn keys_are_partitioned_as_java_clients_do() {
    let kafka = Kafka::shared();
    kafka.create_topic("partitions", 5, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let keys = ["1001", "1001/router", "1001/switch-17", "4711/Grüße", "1/€"];
    let records = keys.map(|key| record(key, "{}"));
    let mut writer = writer(&sink, "partitions");
    deliver(&mut writer, &records);
    assert_eq!(writer.writer().units(), 5);
    let units = records
        .each_ref()
        .map(|record| writer.writer().unit(record));
    drop(writer);
    close(sink);
    let found = kafka.read_all("partitions");
    for (record, unit) in records.iter().zip(units) {
        let key = &*record.key;
        let message = found
            .iter()
            .find(|message| message.key.as_deref() == Some(key.as_bytes()))
            .unwrap();
        assert_eq!(
            i64::from(message.partition),
            i64::from(record.key_hash() % 5),
            "{key}"
        );
        assert_eq!(
            usize::try_from(message.partition).unwrap(),
            unit,
            "the unit of {key} is its partition"
        );
    }
}

/// The order by key rests on it: a key's unit must not change while a record of it is in flight.
#[test]
fn a_key_keeps_its_unit_when_partitions_are_added() {
    let kafka = Kafka::shared();
    kafka.create_topic("grown", 3, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let mut before = writer(&sink, "grown");
    kafka.grow_topic("grown", 7);
    sink.check(Instant::now() + AMPLE).unwrap();
    let records: Vec<_> = (0..30)
        .map(|n| record(&format!("1001/{n}"), "{}"))
        .collect();
    deliver(&mut before, &records);
    let mut after = writer(&sink, "grown");
    assert_eq!((before.writer().units(), after.writer().units()), (3, 7));
    for record in &records {
        let hash = record.key_hash() as usize;
        let units = [&mut before, &mut after].map(|writer| writer.writer().unit(record));
        assert_eq!(units, [hash % 3, hash % 7]);
    }
    drop((before, after));
    close(sink);
}

#[test]
fn with_another_partitioner_a_topic_is_one_unit() {
    let kafka = Kafka::shared();
    kafka.create_topic("fnv", 3, 1, &[]);
    let properties = [("partitioner", "fnv1a")];
    let sink = sink(&kafka.bootstrap(), DEADLINE, &properties);
    let mut writer = writer(&sink, "fnv");
    assert_eq!(writer.writer().units(), 1);
    assert_eq!(writer.writer().unit(&record("1001/a", "{}")), 0);
    drop(writer);
    close(sink);
}

/// Half of the topic's own deadline, not of the longest one.
#[test]
fn a_record_is_handed_over_in_the_first_half_of_its_time() {
    let kafka = Kafka::shared();
    kafka.create_topic("hurried", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let mut config = topic("hurried");
    config.deadline = Duration::from_secs(3);
    let mut writer = BlockingWriter::open(&sink, &config).unwrap();
    assert_eq!(writer.writer().time_needed(), Duration::from_millis(1500));
    drop(writer);
    close(sink);
}

#[test]
fn without_faults_every_record_is_there_once_and_in_order() {
    let kafka = Kafka::shared();
    kafka.create_topic("once", 6, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let runs = load::survive(kafka, &sink, "once", DEADLINE, || {
        std::thread::sleep(Duration::from_secs(1));
    });
    close(sink);
    let (delivered, lost) = load::tally(&runs);
    assert_eq!((kafka.read_all("once").len(), 0), (delivered, lost));
}

#[test]
fn too_large_records_are_rejected_one_by_one() {
    let kafka = Kafka::shared();
    kafka.create_topic("small", 1, 1, &[("max.message.bytes", "20000")]);
    kafka.create_topic("large", 1, 1, &[("max.message.bytes", "3000000")]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let (mut small, mut large) = (writer(&sink, "small"), writer(&sink, "large"));

    // The records that fit are together much larger than one batch of the topic may be.
    let sizes = [9000, 19_000, 21_000, 9000, 1_500_000, 19_000, 9000, 9000];
    let (outcomes, result) = write(&mut small, &sized(&sizes), AMPLE);
    let rejected = Outcome::Rejected(Reason::TooLarge { limit: 20_000 });
    let expected = sizes.map(|size| {
        if size > 20_000 {
            rejected
        } else {
            Outcome::Delivered
        }
    });
    assert_eq!((outcomes, result), (expected.to_vec(), Ok(())));

    let sizes = [2_900_000, 3_000_000, 100, 1_500_000];
    let (outcomes, result) = write(&mut large, &sized(&sizes), AMPLE);
    let rejected = Outcome::Rejected(Reason::TooLarge { limit: 3_000_000 });
    let expected = [
        Outcome::Delivered,
        rejected,
        Outcome::Delivered,
        Outcome::Delivered,
    ];
    assert_eq!((outcomes, result), (expected.to_vec(), Ok(())));

    drop((small, large));
    close(sink);
    assert_eq!(
        (kafka.read_all("small").len(), kafka.read_all("large").len()),
        (6, 3)
    );
}

/// The topic's limit is lowered under a running writer: batches shrink until they fit, and only a
/// record that can never fit is rejected.
#[test]
fn a_limit_that_is_lowered_rejects_no_record_that_fits() {
    let kafka = Kafka::shared();
    kafka.create_topic("lowered", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let mut writer = writer(&sink, "lowered");
    deliver(&mut writer, &sized(&[9000, 9000]));
    kafka.configure_topic("lowered", "max.message.bytes", "100000");
    let mut left = sized(&[9000; 100]);
    left.insert(50, sized(&[600_000]).remove(0));
    let mut rejected = 0;
    for _ in 0..20 {
        let (outcomes, _) = write(&mut writer, &left, AMPLE);
        rejected += outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Rejected(_)))
            .count();
        let mut marks = outcomes.iter();
        left.retain(|_| marks.next() == Some(&Outcome::Retryable));
    }
    assert_eq!((left.len(), rejected), (0, 1));
    drop(writer);
    close(sink);
}

/// The writer stays open: checks learn the new limit.
#[test]
fn a_limit_that_is_raised_is_learned_within_half_a_minute() {
    let kafka = Kafka::shared();
    kafka.create_topic("raised", 1, 1, &[("max.message.bytes", "20000")]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let mut writer = writer(&sink, "raised");
    let large = sized(&[30_000]);
    let rejected = Outcome::Rejected(Reason::TooLarge { limit: 20_000 });
    let (outcomes, _) = write(&mut writer, &large, AMPLE);
    assert_eq!(outcomes, [rejected]);
    assert_eq!(writer.writer().limit(), RecordLimit::Bytes(20_000));
    kafka.configure_topic("raised", "max.message.bytes", "40000");
    let end = Instant::now() + AMPLE;
    while writer.writer().limit() != RecordLimit::Bytes(40_000) {
        assert!(Instant::now() < end, "the limit is learned");
        sink.check(end).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    deliver(&mut writer, &sized(&[30_000]));
    drop(writer);
    close(sink);
}

/// Compressed, a record may be far smaller than it is.
#[test]
fn with_compression_a_broker_decides_which_record_is_too_large() {
    let kafka = Kafka::shared();
    kafka.create_topic("compressed", 1, 1, &[("max.message.bytes", "20000")]);
    let properties = [("compression.codec", "zstd")];
    let sink = sink(&kafka.bootstrap(), DEADLINE, &properties);
    let mut writer = writer(&sink, "compressed");
    assert_eq!(writer.writer().limit(), RecordLimit::None);
    let noise: String = (0..10_000)
        .map(|_| uuid::Uuid::now_v7().simple().to_string())
        .collect();
    let mut records = sized(&[100, 500_000, 100]);
    records.insert(1, record("1001/a", noise));
    let (outcomes, result) = write(&mut writer, &records, AMPLE);
    let rejected = Outcome::Rejected(Reason::TooLarge { limit: 20_000 });
    let expected = [
        Outcome::Delivered,
        rejected,
        Outcome::Delivered,
        Outcome::Delivered,
    ];
    assert_eq!((outcomes, result), (expected.to_vec(), Ok(())));
    drop(writer);
    close(sink);
}

/// Creates records with data of these sizes.
fn sized(sizes: &[usize]) -> Vec<Record> {
    sizes
        .iter()
        .map(|size| record("1001/a", vec![b'x'; *size]))
        .collect()
}

#[test]
fn statistics_follow_the_client() {
    let kafka = Kafka::shared();
    kafka.create_topic("statistics", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    deliver(&mut writer(&sink, "statistics"), &sized(&[100]));
    let end = Instant::now() + AMPLE;
    while statistic(&sink, "requests_total") < 1.0 || statistic(&sink, "round_trip_seconds") <= 0.0
    {
        assert!(Instant::now() < end, "statistics come every five seconds");
        deliver(&mut writer(&sink, "statistics"), &sized(&[100]));
        std::thread::sleep(Duration::from_millis(100));
    }
    close(sink);
}
