//! Pub/Sub 30 ms away in bad weather, under clients that go on at a constant rate: it stops for
//! longer than a deadline, connections die without a word, and some records do not fit its schema.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use iem_test_support::brokers::delaying_proxy::{DelayingProxy, ONE_WAY};
use iem_test_support::brokers::pubsub::PubSub;
use iem_test_support::{Calls, Gateway, Home, OpenLoop, post, read_pubsub, test_ids};
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

/// The time from the service's return to the calls that must succeed again. A gateway that is not
/// optimized needs two or three seconds, on a busy machine more.
const RECOVERY: Duration = Duration::from_secs(10);

/// The time for which they are watched.
const WATCH: Duration = Duration::from_secs(5);

/// Calls a second: low, three times as many, and high. A gateway that is not optimized takes fewer,
/// and other tests run beside it, on machines that are slow at times.
const RATES: [u32; 3] = if cfg!(debug_assertions) {
    [30, 90, 400]
} else {
    [100, 300, 2000]
};

/// The connections of the client: one for each call that waits for its answer.
const CONNECTIONS: i64 = 14_000;

/// Loads come one after another: each needs much of a small machine.
static ALONE: Mutex<()> = Mutex::new(());

/// An outage of Pub/Sub, and the topic and the load that it befalls.
struct Outage {
    name: &'static str,
    fault: fn(&DelayingProxy),
    time: Duration,
    /// Calls a second.
    rate: u32,
    /// The topic's deadline in seconds.
    deadline: u32,
    ordering: bool,
    /// The most records in one batch.
    batch: i64,
}

/// An outage of three deadlines.
const STOPPED: Outage = Outage {
    name: "stopped",
    fault: DelayingProxy::hold,
    time: Duration::from_secs(9),
    rate: RATES[0],
    deadline: 3,
    ordering: false,
    batch: 4096,
};

#[test]
fn service_returns_at_low_rates_after_three_deadlines() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outages = [
        STOPPED,
        Outage {
            name: "stopped-faster",
            rate: RATES[1],
            ..STOPPED
        },
        Outage {
            name: "stopped-in-order",
            ordering: true,
            ..STOPPED
        },
        Outage {
            name: "dead",
            rate: RATES[1],
            fault: DelayingProxy::drop_silently,
            ..STOPPED
        },
    ];
    thread::scope(|scope| {
        for outage in &outages {
            scope.spawn(|| outage.passes());
        }
    });
}

#[test]
fn service_returns_at_a_high_rate_after_three_deadlines() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outage = Outage {
        name: "stopped-fast",
        rate: RATES[2],
        ..STOPPED
    };
    outage.passes();
}

/// At the service's return the window is full of requests on the dead connection, and most of them
/// have nearly all of their deadline left. It is long, so that a slow machine is told from a service
/// that waits for it.
#[test]
fn a_window_full_of_requests_on_a_dead_connection_does_not_hold_up_the_service() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outage = Outage {
        name: "dead-fast",
        rate: RATES[2],
        fault: DelayingProxy::drop_silently,
        time: Duration::from_secs(16),
        deadline: 12,
        batch: 512,
        ..STOPPED
    };
    outage.passes();
}

impl Outage {
    /// Fails the test unless the service is back in time and all promises hold.
    fn passes(&self) {
        let _ = rlimit::increase_nofile_limit(20_000);
        let pubsub = PubSub::shared();
        pubsub.create_topic(self.name);
        let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
        let gateway = self.gateway(&proxy);
        let keys: Vec<String> = (0..20).map(|key| format!("key-{key}")).collect();
        let (address, token) = (gateway.address, gateway.token("alice"));
        self.warm_up(address, &token, &keys);
        let load = OpenLoop::start(address, &token, self.name, self.rate, &keys);

        // The connections are made.
        pass_beside_files(&gateway, &token, SECOND);
        let calm = Instant::now();
        pass_beside_files(&gateway, &token, 2 * SECOND);
        // What is under way when the service stops is not in time.
        let calm_end = Instant::now();
        pass_beside_files(&gateway, &token, SECOND);
        let begin = Instant::now();
        (self.fault)(&proxy);
        pass_beside_files(&gateway, &token, self.time);
        proxy.go_on();
        let end = Instant::now();
        pass_beside_files(&gateway, &token, RECOVERY + WATCH);
        let calls = load.stop();

        let before = calls.between(calm, calm_end);
        let returned = end + RECOVERY;
        let after = calls.between(returned, returned + WATCH);
        self.tell(&[
            ("before", &before),
            ("away", &calls.between(begin, end)),
            ("returning", &calls.between(end, returned)),
            ("after", &after),
        ]);
        let accepted = before.accepted();
        assert!(accepted >= 0.95, "{accepted} without a fault");
        let accepted = after.accepted();
        assert!(accepted >= 0.95, "{accepted} after {}", self.name);
        calls.answered_within(self.deadline * SECOND);
        let arrived = read_pubsub(pubsub, self.name);
        calls.all_there(&test_ids(&arrived));
        if self.ordering {
            calls.in_order(&arrived);
        }
    }

    /// Sends at the rate until the emulator keeps up: it is slow at first, on a busy machine for long.
    fn warm_up(&self, address: SocketAddr, token: &str, keys: &[String]) {
        for _ in 0..20 {
            let load = OpenLoop::start(address, token, "warm-up", self.rate, keys);
            thread::sleep(2 * SECOND);
            let calls = load.stop();
            if calls.accepted() > 0.99 && calls.slow() < SECOND {
                return;
            }
        }
    }

    fn gateway(&self, proxy: &DelayingProxy) -> Gateway {
        Home::new()
            .events_at_pubsub(&format!("http://{}", proxy.address()), self.name)
            .set("topics.events.deadline", format!("{}s", self.deadline))
            .set("topics.events.ordering", self.ordering)
            .set("topics.events.batch_records", self.batch)
            .set("server.max_connections_per_peer", CONNECTIONS)
            .spawn()
    }

    fn tell(&self, times: &[(&str, &Calls)]) {
        for (time, calls) in times {
            let mut answers = BTreeMap::<u16, usize>::new();
            for call in &calls.0 {
                *answers.entry(call.status).or_default() += 1;
            }
            let slow = calls.slow();
            eprintln!("{} {time}: {answers:?}, 99 % within {slow:?}", self.name);
        }
    }
}

/// Lets time pass, in which a topic at files is published to.
fn pass_beside_files(gateway: &Gateway, token: &str, time: Duration) {
    let end = Instant::now() + time;
    let request = post("/publish/metrics/", r#"{"envcustomerid":"acme"}"#).cookie(token);
    while Instant::now() < end {
        gateway.send_from([127, 0, 0, 2], &request).expect(200);
        thread::sleep(SECOND / 20);
    }
}

#[test]
fn records_that_do_not_fit_the_schema_cost_other_customers_nothing() {
    let pubsub = PubSub::shared();
    let fields = ["envcustomerid", "splitby", "test_id"];
    let fields = fields.map(|name| json!({ "name": name, "type": "string" }));
    let schema = json!({ "type": "record", "name": "Event", "fields": fields });
    pubsub.create_topic_with_schema("schema", &schema);
    let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
    let home = Home::new().events_at_pubsub(&format!("http://{}", proxy.address()), "schema");
    let gateway = home.spawn();
    let (good, bad) = (gateway.token("alice"), gateway.token("bob"));
    let load = OpenLoop::start(gateway.address, &good, "good", 200, &["a".into()]);
    thread::sleep(SECOND);
    let calm = Instant::now();
    thread::sleep(2 * SECOND);

    let begin = Instant::now();
    let refused = r#"{"envcustomerid":"globex","other":true}"#;
    let mut connection = gateway.connect();
    while begin.elapsed() < 5 * SECOND {
        let request = post("/publish/allevents/", refused).cookie(&bad);
        let answer = connection.send(request.bytes()).answer().expect(413);
        assert_eq!(answer.json()["rejected"], json!([0]), "{answer:?}");
    }
    let end = Instant::now();
    let taken = |id| format!(r#"{{"envcustomerid":"globex","splitby":"a","test_id":"{id}"}}"#);
    let array = format!("[{},{refused},{},{refused}]", taken("one"), taken("two"));
    let request = post("/publish/allevents/", array).cookie(&bad);
    let answer = gateway.send(&request).expect(413);
    assert_eq!(answer.json()["rejected"], json!([1, 3]), "{answer:?}");
    let calls = load.stop();

    let (before, beside) = (calls.between(calm, begin), calls.between(begin, end));
    let waits = [before.slow(), beside.slow()];
    eprintln!("99 % within {waits:?}, without and beside records that are refused");
    assert!(beside.accepted() >= 0.99, "{}", beside.accepted());
    assert!(waits[1] < waits[0] + SECOND, "{waits:?}");
    // The emulator adds attributes of its own.
    let messages = pubsub.read_all("schema").into_iter();
    let ids: Vec<String> = messages.map(|message| test_id(&message.data)).collect();
    calls.all_there(&ids);
    let of_array = ids
        .iter()
        .filter(|id| ["one", "two"].contains(&id.as_str()));
    assert_eq!(of_array.count(), 2);
}

fn test_id(data: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(data).unwrap();
    record["test_id"].as_str().unwrap().to_owned()
}
