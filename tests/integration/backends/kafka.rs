//! A gateway on a real Apache Kafka: order by key under concurrency, what other clients read, and
//! the faults of a broker. Of every fault the same is asked: what was answered 200 is there,
//! answers are 200 or 503 and come in time, and service returns by itself.

mod cluster;
pub(crate) mod faults;
mod login;

use std::time::Duration;

use iem_test_support::brokers::kafka::Kafka;

use iem_test_support::{AMPLE, Home, Ledger, Load, eventually, read_kafka, test_ids};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme","entityid":"web-01","test_id":"probe-0"}"#;

/// A gateway whose events go to this topic of these brokers.
fn home(kafka: &Kafka, topic: &str) -> Home {
    Home::new().events_at_kafka(&kafka.bootstrap(), topic)
}

#[test]
fn many_connections_keep_the_order_by_key_and_each_record_is_there_once() {
    let kafka = Kafka::shared();
    kafka.create_topic("order", 6, 1, &[]);
    let gateway = home(kafka, "order").set("topics.events.workers", 4).start();
    let load = Load::start(gateway.address, &gateway.token("alice"), "order", 48, 300);
    gateway.await_answers(200, 3000);
    let ledger = load.stop();
    ledger.check_without_fault(&test_ids(&read_kafka(kafka, "order")));
}

/// Kafka's own program prints what any reader would see.
#[test]
fn the_console_consumer_reads_headers_key_and_value() {
    let kafka = Kafka::shared();
    kafka.create_topic("console", 1, 1, &[]);
    let gateway = home(kafka, "console").start();
    gateway.publish(EVENTS, RECORD).expect(200);
    let line = kafka.console_consumer("console", 1);
    let [headers, key, value] = line.trim_end().split('\t').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    assert!(
        headers.contains("content-type:application/json"),
        "{headers}"
    );
    assert!(
        headers.contains("ce_specversion:1.0") && headers.contains("ce_type:iem.event"),
        "{headers}"
    );
    assert!(headers.contains("ce_user:alice@acme.example"), "{headers}");
    assert_eq!((key, value), ("acme/web-01", RECORD));
}

/// The gateway is killed, not Kafka: what it acknowledged is there, and its successor goes on.
#[test]
fn a_gateway_killed_under_load_loses_nothing_that_it_acknowledged() {
    let kafka = Kafka::shared();
    kafka.create_topic("killed", 3, 1, &[]);
    let home = home(kafka, "killed").set("topics.events.workers", 2);
    let mut all = Ledger::default();
    let mut token = None;
    for round in 0..3 {
        let mut gateway = home.spawn();
        let token = token.get_or_insert_with(|| gateway.token("alice"));
        let load = Load::start(gateway.address, token, &format!("round-{round}"), 16, 300);
        gateway.await_answers(200, 200);
        gateway.kill();
        all.add(load.stop());
    }
    let ids = test_ids(&read_kafka(kafka, "killed"));
    all.all_there(&ids);
    all.in_order(&ids);
    all.none_twice(&ids);
}

#[test]
fn a_record_that_the_topic_will_not_take_is_413_and_others_pass() {
    let kafka = Kafka::shared();
    kafka.create_topic("small", 1, 1, &[("max.message.bytes", "20000")]);
    let gateway = home(kafka, "small").start();
    let large = format!(r#"{{"envcustomerid":"acme","a":"{}"}}"#, "x".repeat(30_000));
    let answer = gateway.publish(EVENTS, large).expect(413);
    assert_eq!(
        answer.json()["rejected"],
        serde_json::json!([0]),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("retry-after"),
        None,
        "sending it again will not help"
    );
    gateway.publish(EVENTS, RECORD).expect(200);
    assert_eq!(
        gateway.admin("/readyz?sinks").status,
        200,
        "the record was at fault, and not the sink"
    );
    assert_eq!(read_kafka(kafka, "small").len(), 1);
}
