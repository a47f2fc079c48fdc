//! One broker that hangs, dies, and loses a topic, under load.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use iem_test_support::brokers::kafka::Options;

use super::*;

const DEADLINE: Duration = Duration::from_secs(2);

/// A broker that faults may befall, a test at a time.
pub(crate) fn spare() -> (&'static Kafka, MutexGuard<'static, ()>) {
    static SPARE: OnceLock<Kafka> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let kafka = SPARE.get_or_init(|| {
        let reauthenticate = (
            "listener.name.sasl.scram-sha-256.connections.max.reauth.ms",
            "1000",
        );
        Kafka::start(&Options {
            properties: vec![reauthenticate],
            ..Options::default()
        })
    });
    // A test that failed may have left it stopped.
    kafka.resume(0);
    (kafka, turn)
}

/// Publishes while `begin` breaks the broker, until the gateway answers 503 and says that it is not
/// ready, and through `end`, which mends it, until service is back; then holds the answers against
/// the topic.
fn survive(kafka: &Kafka, topic: &str, begin: impl FnOnce(), end: impl FnOnce()) {
    kafka.create_topic(topic, 2, 1, &[]);
    let gateway = home(kafka, topic)
        .set("topics.events.deadline", "2s")
        .set("topics.events.workers", 2)
        .start();
    let load = Load::start(gateway.address, &gateway.token("alice"), "load", 16, 300);
    gateway.await_answers(200, 100);
    begin();
    gateway.await_answers(503, 32);
    eventually(AMPLE, "not ready", || {
        gateway.admin("/readyz?sinks").status == 503
    });
    gateway.publish("/publish/metrics/", RECORD).expect(200);
    end();
    gateway.await_answers(200, 100);
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    let ledger = load.stop();

    ledger.answered_within(DEADLINE);
    let ids = test_ids(&read_kafka(kafka, topic));
    ledger.all_there(&ids);
    ledger.in_order(&ids);
}

#[test]
fn a_broker_that_hangs_for_longer_than_the_deadline() {
    let (kafka, _turn) = spare();
    survive(kafka, "hang", || kafka.pause(0), || kafka.resume(0));
}

#[test]
fn a_broker_that_is_killed_and_started_again() {
    let (kafka, _turn) = spare();
    survive(kafka, "kill", || kafka.kill(0), || kafka.restart(0));
}

#[test]
fn a_topic_that_is_deleted_and_made_again_is_used_again() {
    let kafka = Kafka::shared();
    kafka.create_topic("deleted", 1, 1, &[]);
    let gateway = home(kafka, "deleted").start();
    gateway.publish(EVENTS, RECORD).expect(200);
    kafka.delete_topic("deleted");
    eventually(AMPLE, "a topic that is gone is 503", || {
        let answer = gateway.publish(EVENTS, RECORD);
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.status == 503
    });
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    eventually(AMPLE, "readiness names the topic", || {
        let answer = gateway.admin("/readyz?sinks");
        answer.status == 503 && answer.text().contains("--create --topic deleted")
    });

    kafka.create_topic("deleted", 1, 1, &[]);
    eventually(AMPLE, "service returns with the topic", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    assert!(!read_kafka(kafka, "deleted").is_empty());
}
