//! Producers are replaced under load, since a topic takes only smaller batches from now on: its
//! records, and those of another topic at the same producers, stay in order.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{AMPLE, OpenLoop, post, read_kafka, test_ids};

use super::*;

/// The records of one request, all of one key: they are on their way at once, and their order is
/// known. Each is small for the topic, and together they are too large for one of its batches.
const RECORDS: usize = 25;
const PADDING: usize = 5000;

/// Publishes records of one key, a request after another, until `stop`, or until a test that failed
/// should have set it. Returns the ids of those that were answered 200.
fn publish(gateway: &Gateway, token: &str, key: &str, stop: &AtomicBool) -> Vec<String> {
    let mut connection = gateway.connect();
    let mut published = Vec::new();
    let late = Instant::now() + AMPLE;
    let padding = "x".repeat(PADDING);
    for first in (0..).step_by(RECORDS) {
        if stop.load(Ordering::Relaxed) || Instant::now() > late {
            break;
        }
        let ids = (first..first + RECORDS).map(|number| format!("{key}-{number:08}"));
        let ids: Vec<String> = ids.collect();
        let record = |id: &String| {
            format!(
                r#"{{"envcustomerid":"acme","splitby":"{key}","test_id":"{id}","a":"{padding}"}}"#
            )
        };
        let records: Vec<String> = ids.iter().map(record).collect();
        let request = post(EVENTS, format!("[{}]", records.join(","))).cookie(token);
        let answer = connection.send(request.bytes()).answer();
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        if answer.status == 200 {
            published.extend(ids);
        }
        sleep(Duration::from_millis(50));
    }
    published
}

/// Fails the test unless the records of each key stand in the order of their ids.
fn in_order<'a>(ids: impl Iterator<Item = &'a String>) {
    let mut latest: HashMap<&str, &String> = HashMap::new();
    for id in ids {
        let (key, _) = id.rsplit_once('-').expect("an id of a key");
        let before = latest.insert(key, id);
        assert!(before < Some(id), "{id} stands behind {before:?}");
    }
}

#[test]
fn records_stay_in_order_over_producers_that_are_replaced() {
    let kafka = Kafka::shared();
    for topic in ["smaller", "beside"] {
        kafka.create_topic(topic, 3, 1, &[]);
    }
    let gateway = Home::new()
        .events_at_kafka(&kafka.bootstrap(), "smaller")
        .topic_at("metrics", "kafka", "beside")
        .start();
    let _books = gateway.watch_books();
    let (address, token) = (gateway.address, gateway.token("alice"));
    let metrics = OpenLoop::start_at(address, METRICS, &token, "metric", 100, &keys(100));
    let (keys, stop) = (keys(8), AtomicBool::new(false));
    let published: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = keys
            .iter()
            .map(|key| scope.spawn(|| publish(&gateway, &token, key, &stop)))
            .collect();
        gateway.await_answers(200, 20);
        kafka.configure_topic("smaller", "max.message.bytes", "100000");
        eventually(AMPLE, "producers are replaced", || {
            gateway.metric("iem_gateway_kafka_producers_replaced_total", &[]) >= 2.0
        });
        sleep(WATCH);
        stop.store(true, Ordering::Relaxed);
        let ended = clients.into_iter().map(thread::ScopedJoinHandle::join);
        ended.flat_map(|ids| ids.expect("a client")).collect()
    });
    let metrics = metrics.stop();

    let smaller = test_ids(&read_kafka(kafka, "smaller"));
    let there: HashSet<&String> = smaller.iter().collect();
    let lost: Vec<_> = published.iter().filter(|id| !there.contains(id)).collect();
    assert!(lost.is_empty(), "answered 200 and lost: {lost:?}");
    let mut seen = HashSet::new();
    in_order(smaller.iter().filter(|id| seen.insert(*id)));
    let mut seen = HashSet::new();
    let mut lasts: Vec<_> = smaller.iter().rev().filter(|id| seen.insert(*id)).collect();
    lasts.reverse();
    in_order(lasts.into_iter());
    assert!(metrics.accepted() > 0.99, "another topic goes on");
    let beside = read_kafka(kafka, "beside");
    metrics.all_there(&test_ids(&beside));
    metrics.in_order(&beside);
}
