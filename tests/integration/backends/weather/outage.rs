//! The only broker of two topics hangs for three deadlines. Old requests must not keep new ones
//! from being in time once it is back, at a low rate or a high one.

use iem_test_support::{OpenLoop, read_kafka, test_ids};

use super::*;
use crate::backends::kafka::faults::spare;

const DEADLINE: Duration = Duration::from_secs(3);
/// Calls a second, each rate at a topic and a gateway of its own. At the highest, broker, gateway and
/// client need a small machine for themselves.
const RATES: &[u32] = if cfg!(debug_assertions) {
    &[100, HIGH_RATE]
} else {
    &[HIGH_RATE]
};

#[test]
fn service_is_back_after_an_outage_longer_than_the_deadline() {
    let (kafka, _turn) = spare();
    let _ = rlimit::increase_nofile_limit(20_000);
    let run = |rate: u32| {
        let topic = format!("outage-{rate}");
        kafka.create_topic(&topic, 2, 1, &[]);
        let gateway = Home::new()
            .events_at_kafka(&kafka.bootstrap(), &topic)
            .set("topics.events.deadline", "3s")
            .set("server.max_connections_per_peer", CONNECTIONS)
            // The disk is busy with other tests.
            .set("sink.file.sync", false)
            .start();
        let token = gateway.token("alice");
        let events = OpenLoop::start(gateway.address, &token, "event", rate, &keys(50));
        (topic, gateway, events)
    };
    let runs: Vec<_> = RATES.iter().copied().map(run).collect();
    let (_, gateway, _) = &runs[0];
    let _books = gateway.watch_books();
    let token = gateway.token("alice");
    let metrics = OpenLoop::start_at(gateway.address, METRICS, &token, "metric", 100, &keys(50));
    sleep(WATCH);
    let began = Instant::now();
    kafka.pause(0);
    sleep(DEADLINE * 3);
    kafka.resume(0);
    let end = Instant::now();
    sleep(RECOVERY + WATCH);
    let runs = runs
        .into_iter()
        .map(|(topic, gateway, events)| (topic, gateway, events.stop()));
    let runs: Vec<_> = runs.collect();

    undisturbed(&metrics.stop(), began, end);
    for (topic, gateway, events) in runs {
        let failed = events.between(began, end).with(|call| call.status == 503);
        assert!(!failed.0.is_empty(), "the broker was away");
        let slowest = events.0.iter().map(|call| call.wait).max();
        eprintln!("{topic}: the slowest answer took {slowest:?}");
        events.answered_within(DEADLINE);
        recovered(&events, end);
        let arrived = read_kafka(kafka, &topic);
        events.all_there(&test_ids(&arrived));
        events.in_order(&arrived);
        holds_nothing(&gateway);
    }
}
