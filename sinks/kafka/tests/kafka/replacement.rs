//! A producer is replaced while it has records: what is on its way is answered, what is not is sent
//! again in order.

use std::time::{Duration, Instant};

use iem_sink::testing::record;
use iem_sink::{Outcome, Sink as _};
use iem_test_support::brokers::kafka::Kafka;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::load::{Load, survive, survive_with, tally};
use crate::rig::{AMPLE, close, deliver, sink, statistic, write, writer};

const DEADLINE: Duration = Duration::from_secs(10);

/// A topic's limit is lowered under load, so that its batches are refused and halved. Another topic
/// shares the producers.
#[test]
fn records_stay_in_order_when_batches_are_halved() {
    let kafka = Kafka::shared();
    for topic in ["halved", "beside"] {
        kafka.create_topic(topic, 2, 1, &[]);
    }
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let large = Load {
        deadline: DEADLINE,
        padding: 20_000,
    };
    let beside = std::thread::scope(|scope| {
        let beside = scope.spawn(|| {
            survive(kafka, &sink, "beside", DEADLINE, || {
                let end = Instant::now() + AMPLE;
                while statistic(&sink, "producers_replaced_total") < 1.0 {
                    assert!(Instant::now() < end, "the batches are too large");
                    std::thread::sleep(Duration::from_millis(10));
                }
                std::thread::sleep(Duration::from_secs(1));
            })
        });
        let halved = survive_with(kafka, &sink, "halved", large, || {
            kafka.configure_topic("halved", "max.message.bytes", "100000");
            std::thread::sleep(Duration::from_secs(1));
        });
        let (delivered, _) = tally(&halved);
        assert!(delivered > 0);
        beside.join().unwrap()
    });
    let (delivered, lost) = tally(&beside);
    assert!(delivered > 0);
    assert_eq!(lost, 0, "another topic loses nothing");
    close(sink);
}

/// The producer dies while one topic's request is on its way to a slow broker. The request is
/// answered: its record is neither failed nor sent again.
#[test]
fn a_request_on_its_way_outlives_its_producer() {
    const ROUND_TRIP: Duration = Duration::from_secs(1);
    let cluster = MockCluster::new(2).unwrap();
    for (topic, broker) in [("slow", 1), ("dying", 2)] {
        cluster.create_topic(topic, 1, 1).unwrap();
        cluster.partition_leader(topic, 0, Some(broker)).unwrap();
    }
    let mut config = crate::rig::config(&cluster.bootstrap_servers(), DEADLINE, &[]);
    config.workers = 1;
    let sink = iem_sink_kafka::KafkaSink::open(config).unwrap();
    let (mut slow, mut dying) = (writer(&sink, "slow"), writer(&sink, "dying"));
    let records = [record("1001/a", "{}")];
    deliver(&mut slow, &records);
    deliver(&mut dying, &[record("1001/b", "{}")]);

    cluster.broker_round_trip_time(1, ROUND_TRIP).unwrap();
    let on_its_way = [record("1001/a", "{}")];
    let (outcomes, _) = write(&mut slow, &on_its_way, ROUND_TRIP / 4);
    assert_eq!(outcomes, [Outcome::Retryable]);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    let (outcomes, _) = write(&mut dying, &[record("1001/b", "{}")], AMPLE);
    assert_eq!(outcomes, [Outcome::Retryable]);
    sink.check(Instant::now() + AMPLE).unwrap();
    assert_eq!(
        statistic(&sink, "producers_replaced_total").to_string(),
        "1"
    );
    deliver(&mut slow, &on_its_way);
    let statistics = sink.statistics();
    let purged = statistics
        .iter()
        .find(|statistic| statistic.label == Some(("kind", "producer_replaced")));
    assert_eq!(purged.unwrap().value.to_string(), "0");
    drop((slow, dying));
    close(sink);
}
