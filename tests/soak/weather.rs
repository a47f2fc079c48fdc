//! Bad weather: one of two partitions has lost its leader for good, floods go to it, and an adversary
//! holds what it can. Customers who publish to the other partition or to files, at a constant rate,
//! do not notice.
//!
//! `scripts/soak weather` runs it, for ten minutes or as many seconds as it is told. It prints its
//! statistics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use iem_sink::testing::record;
use iem_test_support::brokers::kafka::{Kafka, Options};
use iem_test_support::{
    AMPLE, Calls, Connection, Gateway, Home, Line, OpenLoop, eventually, post, read_kafka, test_ids,
};

use super::adversary::{Adversary, CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX};
use super::seconds;
use super::site::ceiling;
use super::statistics::mebibytes;

const TOPIC: &str = "weather";

/// The partitions. Without replicas their leaders are different brokers.
const DEAD: u32 = 0;
const LIVE: u32 = 1;

/// The time before the fault, which makes the connections and the caches.
const WARM_UP: Duration = Duration::from_secs(10);

/// The calls a second of a good customer, and of customers of the dead partition and of files.
const GOOD_RATE: u32 = 500;
const DEAD_RATE: u32 = 100;
const FILES_RATE: u32 = 100;

/// The clients of the floods. Their arrays are more records than half of the topic's queue takes.
const ARRAY_CLIENTS: usize = 24;
const ARRAY_RECORDS: usize = 2000;
const SPARSE_CLIENTS: usize = 8;

/// The time from one request of a flood's client to the next. A gateway that is not optimized takes
/// fewer.
const FLOOD_PAUSE: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 5000 } else { 500 });

/// The largest body that is taken.
const BODY_BYTES: usize = 8 << 20;

/// A client that waits for each answer.
struct Client<'a> {
    address: SocketAddr,
    token: String,
    path: &'a str,
    label: String,
    /// The time from one request to the next, unless the answer is late.
    pause: Duration,
    /// Returns the body of a request, given the ids of its records.
    body: &'a (dyn Fn(&[String]) -> String + Sync),
    /// The records of a request.
    records: usize,
}

/// The answers to a client.
#[derive(Default)]
struct Account {
    answers: BTreeMap<u16, usize>,
    /// The ids of records answered 200.
    published: Vec<String>,
}

/// The accounts of clients, by their labels.
type Accounts = BTreeMap<String, Account>;

#[test]
#[ignore = "takes minutes of a whole machine: scripts/soak weather"]
fn a_dead_partition_floods_and_an_adversary_cost_others_nothing() {
    let kafka = Kafka::start(&Options {
        brokers: 3,
        ..Options::default()
    });
    kafka.create_topic(TOPIC, 2, 1, &[]);
    let dead_broker = kafka.leader(TOPIC, DEAD.cast_signed());
    assert_ne!(kafka.leader(TOPIC, LIVE.cast_signed()), dead_broker);
    let home = Home::new()
        .events_at_kafka(&kafka.bootstrap(), TOPIC)
        .set("server.max_connections", CONNECTIONS_MAX)
        .set("server.max_connections_per_peer", CONNECTIONS_PER_PEER_MAX);
    let mut gateway = home
        .set("logging.level", "warn")
        .set("audit.enabled", false)
        .spawn();
    let ceiling = ceiling(&gateway);

    let open_loop = |user, label, rate, partition| {
        let (token, keys) = (gateway.token(user), keys("acme", partition));
        OpenLoop::start(gateway.address, &token, label, rate, &keys)
    };
    let good = open_loop("alice", "good", GOOD_RATE, LIVE);
    let concerned = open_loop("carol", "concerned", DEAD_RATE, DEAD);
    let (accounts, begin) = beside(&gateway, || {
        thread::sleep(WARM_UP);
        let begin = Instant::now();
        kafka.kill(dead_broker);
        thread::sleep(Duration::from_secs(seconds()));
        begin
    });
    let calls = [good.stop(), concerned.stop()];
    eventually(AMPLE, "nothing is held", || {
        let gauges = ["memory_bytes", "queue_records", "queue_bytes"];
        let held = gauges.map(|name| gateway.metric(&format!("iem_gateway_{name}"), &[]));
        held.iter().sum::<f64>() < 0.5
    });

    let peak = gateway.peak_memory();
    let [good, concerned] = calls
        .each_ref()
        .map(|calls| calls.between(begin, Instant::now()));
    tell("good", &good);
    tell("of the dead partition", &concerned);
    tell_kinds(&accounts);
    let [peak_mib, ceiling_mib] = [peak, ceiling].map(|bytes| mebibytes(bytes / 1024));
    eprintln!("{peak_mib:.1} MiB at most; `check` allows {ceiling_mib:.1} MiB");
    assert!(good.accepted() >= 0.999, "good");
    let files = &accounts["files"].answers;
    assert_eq!(files.keys().collect::<Vec<_>>(), [&200], "files");
    assert!(peak <= ceiling, "{peak} of {ceiling}");

    kafka.restart(dead_broker);
    let mut ids = test_ids(&read_kafka(&kafka, TOPIC));
    let lines = gateway.home.records("metrics");
    ids.extend(lines.iter().map(Line::test_id));
    nothing_is_lost(&calls, &accounts, ids);
}

/// Fails the test unless all that was answered 200 is among `ids`, as they were stored.
fn nothing_is_lost(calls: &[Calls], accounts: &Accounts, mut ids: Vec<String>) {
    for calls in calls {
        calls.all_there(&ids);
    }
    ids.sort_unstable();
    for (label, account) in accounts {
        let is_lost = |id: &&String| ids.binary_search(id).is_err();
        let lost: Vec<_> = account.published.iter().filter(is_lost).collect();
        assert!(lost.is_empty(), "{label}: answered 200 and lost: {lost:?}");
    }
}

/// Lets clients publish to files and flood the dead partition while `act` acts. Returns their
/// accounts by their labels.
fn beside<T>(gateway: &Gateway, act: impl FnOnce() -> T) -> (Accounts, T) {
    let keys = keys("globex", DEAD);
    let of_dead = |ids: &[String]| {
        let records = ids.iter().zip(keys.iter().cycle());
        let records = records.map(|(id, key)| event("globex", key, id));
        format!("[{}]", records.collect::<Vec<_>>().join(","))
    };
    let sparse = |ids: &[String]| {
        let record = of_dead(ids);
        let spaces = " ".repeat(BODY_BYTES - record.len());
        record.replacen('[', &format!("[{spaces}"), 1)
    };
    let line = |ids: &[String]| event("globex", "any", &ids[0]);
    let client = |label: String, pause| Client {
        address: gateway.address,
        token: gateway.token("bob"),
        path: "/publish/allevents/",
        label,
        pause,
        body: &of_dead,
        records: 1,
    };
    let mut clients = vec![Client {
        path: "/publish/metrics/",
        body: &line,
        ..client("files".into(), Duration::from_secs(1) / FILES_RATE)
    }];
    for number in 0..ARRAY_CLIENTS {
        clients.push(Client {
            records: ARRAY_RECORDS,
            ..client(format!("arrays-{number}"), FLOOD_PAUSE)
        });
    }
    for number in 0..SPARSE_CLIENTS {
        clients.push(Client {
            body: &sparse,
            ..client(format!("sparse-{number}"), FLOOD_PAUSE)
        });
    }
    let stop = AtomicBool::new(false);
    let adversary = Adversary::new(gateway, &stop);
    thread::scope(|scope| {
        adversary.start(scope);
        let clients: Vec<_> = clients
            .iter()
            .map(|client| (client, scope.spawn(|| client.run(&stop))))
            .collect();
        let result = act();
        stop.store(true, Ordering::Relaxed);
        adversary.tell();
        let accounts = clients.into_iter().map(|(client, thread)| {
            let account = thread.join().expect("a client does not panic");
            (client.label.clone(), account)
        });
        (accounts.collect(), result)
    })
}

impl Client<'_> {
    fn run(&self, stop: &AtomicBool) -> Account {
        let mut account = Account::default();
        let mut connection = Connection::open(self.address);
        let mut is_new = true;
        let mut due = Instant::now();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due = Instant::now().max(due + self.pause);
            let ids: Vec<String> = (0..self.records)
                .map(|record| format!("{}-{number}-{record}", self.label))
                .collect();
            let request = post(self.path, (self.body)(&ids)).cookie(&self.token);
            // Some are answered, and their connections closed, before all of them has been sent.
            let _ = connection.try_send(request.bytes());
            let Ok(Some(answer)) = connection.try_answer() else {
                // Until its first request has come, it was one of strangers, which may have to make room.
                assert!(is_new, "{}: an answer, not the end", self.label);
                connection = Connection::open(self.address);
                continue;
            };
            is_new = false;
            *account.answers.entry(answer.status).or_default() += 1;
            if answer.status == 200 {
                account.published.extend(ids);
            }
            if answer.header("connection").is_some() {
                connection = Connection::open(self.address);
                is_new = true;
            }
        }
        account
    }
}

/// Returns ordering values whose records go to a partition.
fn keys(customer: &str, partition: u32) -> Vec<String> {
    let values = (0..).map(|number| format!("key-{number}"));
    let of_partition = values.filter(|value| {
        let key = format!("{customer}/{value}");
        record(&key, "{}").key_hash() % 2 == partition
    });
    of_partition.take(20).collect()
}

fn event(customer: &str, key: &str, id: &str) -> String {
    format!(r#"{{"envcustomerid":"{customer}","splitby":"{key}","test_id":"{id}"}}"#)
}

/// Prints the answers of each kind of client.
fn tell_kinds(accounts: &Accounts) {
    for kind in ["files", "arrays", "sparse"] {
        let mut answers = BTreeMap::<u16, usize>::new();
        for (_, account) in accounts.iter().filter(|(label, _)| label.starts_with(kind)) {
            for (status, count) in &account.answers {
                *answers.entry(*status).or_default() += count;
            }
        }
        eprintln!("{kind}: {answers:?}");
    }
}

fn tell(label: &str, calls: &Calls) {
    let mut statuses = BTreeMap::<u16, usize>::new();
    for call in &calls.0 {
        *statuses.entry(call.status).or_default() += 1;
    }
    eprintln!("{label}: by status (0: no answer) {statuses:?}");
    eprintln!(
        "{label}: {} calls, {:.3} % 200, 99 % within {:?}",
        calls.0.len(),
        calls.accepted() * 100.0,
        calls.slow()
    );
}
