//! The brokers themselves: a broker starts, serves, and is gone afterwards.

use iem_test_support::brokers::kafka::{Kafka, Options};

#[test]
fn a_broker_survives_being_killed_and_holds_topics() {
    let kafka = Kafka::start(&Options::default());
    kafka.create_topic("survivor", 2, 1, &[]);
    assert_eq!(kafka.read_all("survivor"), []);
    kafka.kill(0);
    kafka.restart(0);
    assert_eq!(kafka.read_all("survivor"), []);
    kafka.delete_topic("survivor");
}
