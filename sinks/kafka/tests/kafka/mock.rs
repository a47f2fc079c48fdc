//! Errors and delays that a real broker does not produce on demand.

use std::time::{Duration, Instant};

use iem_sink::testing::record;
use iem_sink::{Outcome, Record, Sink as _};
use iem_sink_kafka::KafkaSink;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::rig::{AMPLE, close, deliver, sink, statistic, write, writer};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> (Cluster, KafkaSink) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("mock", 1, 1).unwrap();
    let sink = sink(&cluster.bootstrap_servers(), Duration::from_secs(10), &[]);
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
    // One is one request, which gets the error.
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
