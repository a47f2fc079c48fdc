//! A backend that is 30 ms away in each direction: requests share round trips, and several are
//! under way at once.
//!
//! Time is only held against the way's own length: a write takes a round trip at least, whatever
//! the machine does beside, so more writes than there were round trips must have overlapped.

use std::time::{Duration, Instant};

use iem_test_support::brokers::delaying_proxy::{DelayingProxy, ONE_WAY};
use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::brokers::pubsub::PubSub;

use iem_test_support::{Arrived, Gateway, Home, Ledger, Load, read_kafka, read_pubsub, test_ids};

const ROUND_TRIP: Duration = Duration::from_millis(60);
const WORKERS: i64 = 8;

#[test]
fn a_thousand_connections_share_round_trips_to_kafka() {
    let kafka = Kafka::shared();
    kafka.create_topic("far", 8, 1, &[]);
    let home = Home::new().events_at_kafka(&kafka.bootstrap_far(), "far");
    let run = publish(home, 1000, || read_kafka(kafka, "far"));
    run.ledger.in_order(&run.arrived);
    run.writes_overlap();
}

#[test]
fn a_thousand_connections_share_round_trips_to_pubsub() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("far");
    let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
    let home = Home::new().events_at_pubsub(&format!("http://{}", proxy.address()), "far");
    publish(home, 1000, || read_pubsub(pubsub, "far")).writes_overlap();
}

/// With Pub/Sub's own ordering, which takes a request a key, and so is for fewer.
#[test]
fn a_hundred_connections_share_round_trips_to_pubsub_in_order() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("far-in-order");
    let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
    let home = Home::new().events_at_pubsub(&format!("http://{}", proxy.address()), "far-in-order");
    let home = home.set("topics.events.ordering", true);
    let run = publish(home, 100, || read_pubsub(pubsub, "far-in-order"));
    run.ledger.in_order(&run.arrived);
}

struct Run {
    ledger: Ledger,
    /// The tests' ids of what the topic holds, in its order.
    arrived: Vec<String>,
    requests: u32,
    writes: f64,
    elapsed: Duration,
}

impl Run {
    /// How many writes were under way at once, on average, if each took no more than one round
    /// trip.
    fn overlap(&self) -> f64 {
        self.writes * ROUND_TRIP.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// Fails the test unless requests shared writes, and writes did not wait for one another.
    fn writes_overlap(&self) {
        let Self {
            requests,
            writes,
            elapsed,
            ..
        } = self;
        assert!(
            *writes < f64::from(*requests),
            "{requests} requests in {writes} writes"
        );
        assert!(
            self.overlap() > 1.0,
            "{writes} writes in {elapsed:?} may have come one after another"
        );
    }
}

/// Lets so many connections publish, each about once a second, and looks at the writes that it
/// took.
fn publish(home: Home, connections: u32, read: impl FnOnce() -> Vec<Arrived>) -> Run {
    rlimit::increase_nofile_limit(8192).expect("descriptors for connections and their other ends");
    let gateway = home.set("topics.events.workers", WORKERS).start();
    let (clients, pause) = (connections as usize, Duration::from_secs(1));
    let load = Load::start_with_pauses(
        gateway.address,
        &gateway.token("alice"),
        "far",
        clients,
        300,
        pause,
    );
    // All are connected, the writers too.
    gateway.await_answers(200, connections);
    let (began, before) = (Instant::now(), writes(&gateway));
    gateway.await_answers(200, 4 * connections);
    let (elapsed, writes) = (began.elapsed(), writes(&gateway) - before);
    let ledger = load.stop();

    assert_eq!(
        ledger.answers.keys().collect::<Vec<_>>(),
        [&200],
        "without a fault"
    );
    let arrived = test_ids(&read());
    ledger.all_there(&arrived);
    ledger.none_twice(&arrived);
    let run = Run {
        ledger,
        arrived,
        requests: 4 * connections,
        writes,
        elapsed,
    };
    let (requests, overlap, median) = (
        run.requests,
        run.overlap(),
        run.ledger.median_wait().as_millis(),
    );
    eprintln!(
        "{requests} requests, {writes} writes, {overlap:.1} at once; \
         half were answered in {median} ms"
    );
    run
}

fn writes(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_write_seconds_count", &["topic=\"events\""])
}
