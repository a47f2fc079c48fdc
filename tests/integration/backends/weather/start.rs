//! A gateway that is started while Kafka is away.

use iem_test_support::{AMPLE, read_kafka, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

#[test]
fn a_start_without_kafka_serves_the_topics_at_files_and_the_others_once_it_is_there() {
    let (kafka, _turn) = spare();
    kafka.create_topic("awaited", 1, 1, &[]);
    kafka.kill(0);
    let began = Instant::now();
    let gateway = Home::new()
        .events_at_kafka(&kafka.bootstrap(), "awaited")
        .set("topics.events.deadline", "2s")
        .start();
    gateway.publish(METRICS, RECORD).expect(200);
    eprintln!("started after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    let ready = gateway.admin("/readyz?sinks").expect(503).text();
    assert!(ready.contains("topic events at sink kafka: "), "{ready}");
    assert!(!ready.contains("topic metrics"), "{ready}");

    kafka.restart(0);
    let back = Instant::now();
    eventually(Duration::from_secs(20), "service without a restart", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    eprintln!("served after {:?}", back.elapsed());
    eventually(AMPLE, "ready", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    assert!(!test_ids(&read_kafka(kafka, "awaited")).is_empty());
}
