//! Errors and delays that a real broker does not produce on demand.

use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Outcome, Record, Sink as _, TopicConfig};
use iem_sink_kafka::KafkaSink;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::rig::{AMPLE, close, deliver, sink, statistic, write, writer};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Cluster, KafkaSink) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("mock", 1, 1).unwrap();
    // So that a batch is one request. Behind one that fails, another one would be stored.
    let properties = [("linger.ms", "100")];
    let sink = sink(
        &cluster.bootstrap_servers(),
        Duration::from_secs(10),
        &properties,
    );
    (cluster, sink)
}

fn batch() -> Vec<Record> {
    (0..10)
        .map(|n| record("1001/a", format!(r#"{{"n":{n}}}"#)))
        .collect()
}

#[test]
fn transient_errors_are_retried_within_one_call() {
    let (cluster, sink) = cluster();
    let mut writer = writer(&sink, "mock");
    for error in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ] {
        cluster.request_errors(RDKafkaApiKey::Produce, &[error, error]);
        deliver(&mut writer, &batch());
    }
    drop(writer);
    close(sink);
}

/// An error that an idempotent producer cannot order records around ends it. Its records in flight
/// are left retryable, and the producer that replaces it delivers them.
#[test]
fn a_dead_producer_is_replaced() {
    let (cluster, sink) = cluster();
    let mut writer = writer(&sink, "mock");
    deliver(&mut writer, &batch());
    let dying = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[dying]);
    let records = batch()[..1].to_vec();
    let (outcomes, result) = write(&mut writer, &records, AMPLE);
    assert_eq!(outcomes, [Outcome::Retryable], "{result:?}");
    let error = result.unwrap_err();
    assert!(
        error.message.contains("the producer is replaced"),
        "{error}"
    );
    let end = Instant::now() + AMPLE;
    let mut left = records;
    while !left.is_empty() {
        let (outcomes, result) = write(&mut writer, &left, AMPLE);
        let mut marks = outcomes.iter();
        left.retain(|_| marks.next() == Some(&Outcome::Retryable));
        assert!(Instant::now() < end, "{result:?}");
    }
    assert_eq!(
        statistic(&sink, "producers_replaced_total").to_string(),
        "1"
    );
    sink.check(Instant::now() + AMPLE).unwrap();
    drop(writer);
    close(sink);
}

/// Returns the records that the topic holds, in order.
fn stored(cluster: &Cluster, count: usize) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut partition = TopicPartitionList::new();
    partition
        .add_partition_offset("mock", 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&partition).unwrap();
    let end = Instant::now() + AMPLE;
    let mut stored = Vec::new();
    while stored.len() < count {
        assert!(Instant::now() < end, "{} of {count}", stored.len());
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            stored.push(message.payload().unwrap().to_vec());
        }
    }
    stored
}

/// Has a new producer's first request fail, and not those that are in flight behind it: a real broker
/// that has just become the leader takes them, since it knows nothing of the producer. Returns the
/// outcomes, and what is stored.
fn lose_the_first_request(is_persistent: bool) -> (Vec<Outcome>, Vec<Vec<u8>>) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("mock", 1, 1).unwrap();
    // So that several requests are in flight.
    cluster
        .broker_round_trip_time(1, Duration::from_millis(30))
        .unwrap();
    let properties = [("batch.num.messages", "1")];
    let sink = sink(&cluster.bootstrap_servers(), AMPLE, &properties);
    let topic = TopicConfig {
        is_persistent,
        ..topic("mock")
    };
    let mut writer = BlockingWriter::open(&sink, &topic).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let (outcomes, result) = write(&mut writer, &batch(), AMPLE);
    eprintln!("{result:?}");
    let delivered = outcomes.iter().filter(|one| **one == Outcome::Delivered);
    let stored = stored(&cluster, delivered.count());
    drop(writer);
    close(sink);
    (outcomes, stored)
}

#[test]
fn a_record_that_no_broker_has_stored_is_not_delivered() {
    let (outcomes, stored) = lose_the_first_request(false);
    let pairs = batch().into_iter().zip(outcomes);
    let delivered = pairs.filter(|(_, outcome)| *outcome == Outcome::Delivered);
    let delivered: Vec<_> = delivered.map(|(record, _)| record.data.to_vec()).collect();
    assert_eq!(delivered, stored);
    assert_eq!(delivered.len(), 9, "the first one is to be sent again");
}

#[test]
fn records_without_a_deadline_keep_their_order_when_a_request_fails() {
    let (outcomes, stored) = lose_the_first_request(true);
    assert_eq!(outcomes, [Outcome::Delivered; 10]);
    let sent: Vec<_> = batch().iter().map(|record| record.data.to_vec()).collect();
    assert_eq!(stored, sent);
}

/// Eight workers have eight batches in flight at once, through two producers.
#[test]
fn far_away_brokers_are_kept_busy() {
    const ROUND_TRIP: Duration = Duration::from_millis(30);
    const WORKERS: usize = 8;
    const WRITES: usize = 20;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("mock", 8, 1).unwrap();
    cluster.broker_round_trip_time(1, ROUND_TRIP).unwrap();
    let sink = sink(&cluster.bootstrap_servers(), Duration::from_secs(10), &[]);
    let began = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WORKERS).map(|_| writer(&sink, "mock")).collect();
        deliver(&mut writer(&sink, "mock"), &batch());
        let began = Instant::now();
        for (worker, mut writer) in writers.into_iter().enumerate() {
            scope.spawn(move || {
                for n in 0..WRITES {
                    deliver(&mut writer, &[record(&format!("1001/{worker}-{n}"), "{}")]);
                }
            });
        }
        began
    });
    let one_after_the_other = ROUND_TRIP * u32::try_from(WORKERS * WRITES).unwrap();
    assert!(
        began.elapsed() < one_after_the_other / 2,
        "{:?}",
        began.elapsed()
    );
    close(sink);
}
