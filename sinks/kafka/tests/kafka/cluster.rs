//! Three brokers with `min.insync.replicas=2`: the loss of one costs nothing, the loss of two stops
//! the topic.

use std::time::{Duration, Instant};

use iem_sink::Sink as _;
use iem_test_support::brokers::kafka::{Kafka, Options};

use crate::load::{survive, tally};
use crate::rig::{AMPLE, close, sink};

#[test]
fn the_loss_of_one_broker_of_three_loses_no_record() {
    let kafka = Kafka::start(&Options {
        brokers: 3,
        ..Options::default()
    });
    kafka.create_topic("replicated", 3, 3, &[("min.insync.replicas", "2")]);
    let deadline = Duration::from_secs(15);
    let sink = sink(&kafka.bootstrap(), deadline, &[]);
    let runs = survive(&kafka, &sink, "replicated", deadline, || {
        std::thread::sleep(Duration::from_millis(500));
        kafka.kill(2);
        std::thread::sleep(Duration::from_secs(5));
    });
    let (delivered, lost) = tally(&runs);
    assert_eq!(
        lost, 0,
        "of three brokers one may go: {delivered} delivered"
    );

    // Two brokers are a majority of the controllers. One alone is no majority, and too few
    // replicas.
    let deadline = Duration::from_secs(3);
    let runs = survive(&kafka, &sink, "replicated", deadline, || {
        kafka.kill(1);
        std::thread::sleep(deadline * 2);
        kafka.start_again(1);
        kafka.restart(2);
    });
    let (delivered, lost) = tally(&runs);
    assert!(
        delivered > 0 && lost > 0,
        "{delivered} delivered, {lost} lost"
    );
    let end = Instant::now() + AMPLE;
    while let Err(error) = sink.check(end) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    close(sink);
}
