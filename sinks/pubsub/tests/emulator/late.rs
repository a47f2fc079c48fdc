//! Calls that go on after others have begun: late answers, and connections that are lost without a
//! word.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};

use iem_sink::{DeliveryToken, Sending, Settled, SinkErrorKind, Writer};
use iem_test_support::eventually;
use parking_lot::Mutex;

use super::proxy::Proxy;
use super::*;

/// A deadline of which three pass while the network is away.
const SHORT: Duration = Duration::from_secs(1);

/// A writer whose calls a test begins and settles itself.
struct Calls {
    writer: Box<dyn Writer>,
    woken: Receiver<()>,
    tokens: u64,
}

struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().send(());
    }
}

impl Calls {
    fn open(sink: &PubSubSink, name: &str) -> Self {
        let (sender, woken) = channel();
        let waker = Waker::from(Arc::new(Bell(Mutex::new(sender))));
        Self {
            writer: sink.writer(&topic(name), waker).unwrap(),
            woken,
            tokens: 0,
        }
    }

    /// Begins a call, and returns the first of its tokens.
    fn send(&mut self, records: &[Record], deadline: Duration) -> u64 {
        let first = self.tokens;
        self.tokens += records.len() as u64;
        let tokens = (first..).map(DeliveryToken);
        let sending: Vec<Sending<'_>> = tokens
            .zip(records)
            .map(|(token, record)| Sending { token, record })
            .collect();
        let mut settled = Settled::default();
        let deadline = Instant::now() + deadline;
        self.writer.send(&sending, deadline, &mut settled);
        assert!(settled.is_empty(), "{settled:?}");
        first
    }

    /// Waits until outcomes come, at most for `time`.
    fn settle(&mut self, time: Duration) -> Vec<(u64, Outcome)> {
        let _ = self.woken.recv_timeout(time);
        let mut settled = Settled::default();
        self.writer.settle(&mut settled);
        let outcomes = settled.outcomes().iter();
        outcomes
            .map(|(token, outcome)| (token.0, *outcome))
            .collect()
    }

    /// Waits for this many outcomes.
    fn await_outcomes(&mut self, count: usize) -> Vec<(u64, Outcome)> {
        let end = Instant::now() + AMPLE;
        let mut outcomes = Vec::new();
        while outcomes.len() < count {
            outcomes.extend(self.settle(SHORT));
            assert!(
                Instant::now() < end,
                "{} of {count} outcomes",
                outcomes.len()
            );
        }
        outcomes.sort_unstable_by_key(|(token, _)| *token);
        outcomes
    }
}

fn delivered(tokens: std::ops::Range<u64>) -> Vec<(u64, Outcome)> {
    tokens.map(|token| (token, Outcome::Delivered)).collect()
}

fn through(proxy: &Proxy, ordered: &[&str]) -> PubSubSink {
    PubSubSink::open(PubSubConfig {
        ordered_topics: ordered.iter().map(|name| (*name).to_owned()).collect(),
        ..config(proxy.endpoint())
    })
    .unwrap()
}

#[test]
fn a_late_answer_is_told_and_its_record_is_stored_once() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "late");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(30, 3);
    calls.send(&records[..10], AMPLE);
    assert_eq!(calls.await_outcomes(10), delivered(0..10));

    proxy.hold_answers();
    let began = Instant::now();
    calls.send(&records[10..20], AMPLE);
    assert_eq!(calls.settle(3 * SHORT / 2), []);
    calls.send(&records[20..], AMPLE);
    assert_eq!(calls.settle(3 * SHORT / 2), []);
    let obstacle = calls.writer.obstacle(began).unwrap();
    assert_eq!(obstacle.kind, SinkErrorKind::Transient);
    let address = format!("Pub/Sub at {} has not answered", proxy.endpoint());
    assert!(obstacle.message.starts_with(&address), "{obstacle}");

    proxy.release_answers();
    assert_eq!(calls.await_outcomes(20), delivered(10..30));
    assert_eq!(calls.writer.obstacle(began), None);
    assert_once(&pubsub.read_all(&name), &records);
}

#[test]
fn a_call_ends_at_its_own_deadline_beside_later_ones() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "own-deadline");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(3, 3);
    calls.send(&records[..1], AMPLE);
    assert_eq!(calls.await_outcomes(1), delivered(0..1));

    proxy.hold_answers();
    calls.send(&records[1..2], SHORT);
    calls.send(&records[2..], AMPLE);
    assert_eq!(calls.await_outcomes(1), [(1, Outcome::Retryable)]);
    proxy.release_answers();
    assert_eq!(calls.await_outcomes(1), delivered(2..3));
}

/// The connection dies without a reset, as behind a network that has lost its state.
#[test]
fn records_on_a_dead_connection_are_sent_again_over_a_new_one() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "dead");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(3000, 3);
    calls.send(&records[..10], AMPLE);
    assert_eq!(calls.await_outcomes(10), delivered(0..10));
    let clients = proxy.clients();

    proxy.fall_silent();
    let long = 10 * AMPLE;
    calls.send(&records[10..20], long);
    assert_eq!(calls.settle(3 * SHORT), []);
    // More requests than a connection has under way at once.
    let lost = records[20..].chunks(20).count();
    for some in records[20..].chunks(20) {
        calls.send(some, long);
    }
    assert!(lost > 100, "{lost}");
    assert_eq!(calls.settle(Duration::ZERO), []);
    proxy.recover();
    let outcomes = calls.await_outcomes(2990);
    let given_up: Vec<_> = (10..3000).map(|n| (n, Outcome::Retryable)).collect();
    assert_eq!(outcomes, given_up, "each is told once");

    calls.send(&records[10..], long);
    assert_eq!(calls.await_outcomes(2990), delivered(3000..5990));
    assert_eq!(calls.settle(SHORT), [], "each is told once");
    eventually(AMPLE, "the dead connection is closed", || {
        proxy.clients() <= clients
    });
    assert_eq!(reconnects(&sink), "1");
    assert_once(&pubsub.read_all(&name), &records);
}

/// As the head of a queue is, after an outage of more than a deadline.
#[test]
fn service_returns_over_a_new_connection_if_each_call_has_little_time() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "little-time");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(1, 1);
    calls.send(&records, AMPLE);
    assert_eq!(calls.await_outcomes(1), delivered(0..1));

    proxy.fall_silent();
    calls.send(&records, SHORT);
    assert_eq!(calls.await_outcomes(1), [(1, Outcome::Retryable)]);
    proxy.recover();
    let end = Instant::now() + AMPLE;
    loop {
        assert!(Instant::now() < end, "service does not return");
        // As the pipeline waits before it sends again.
        std::thread::sleep(7 * SHORT / 10);
        calls.send(&records, 3 * SHORT / 10);
        if calls.await_outcomes(1)[0].1 == Outcome::Delivered {
            break;
        }
    }
}

#[test]
fn records_on_a_connection_that_never_came_are_given_up_too() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "never-came");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(2, 2);
    proxy.fall_silent();
    calls.send(&records[..1], SHORT);
    calls.send(&records[1..], 10 * AMPLE);
    assert_eq!(calls.await_outcomes(1), [(0, Outcome::Retryable)]);
    proxy.recover();
    assert_eq!(calls.await_outcomes(1), [(1, Outcome::Retryable)]);
    calls.send(&records, AMPLE);
    assert_eq!(calls.await_outcomes(2), delivered(2..4));
}

/// A request that was given up might still arrive, behind its successors.
#[test]
fn with_ordering_records_on_a_dead_connection_stay_in_flight_beside_those_on_a_new_one() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "dead-in-order");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[&name]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(1000, 1000);
    calls.send(&records[..10], AMPLE);
    assert_eq!(calls.await_outcomes(10), delivered(0..10));

    proxy.fall_silent();
    let long = 10 * AMPLE;
    calls.send(&records[10..30], long);
    assert_eq!(calls.settle(3 * SHORT), []);
    proxy.recover();
    let end = Instant::now() + AMPLE;
    let mut outcomes = Vec::new();
    for record in &records[30..] {
        assert!(Instant::now() < end, "nothing is delivered");
        calls.send(std::slice::from_ref(record), long);
        outcomes.extend(calls.settle(Duration::from_millis(50)));
        if !outcomes.is_empty() {
            break;
        }
    }
    assert!(
        outcomes
            .iter()
            .all(|(token, outcome)| *token >= 30 && *outcome == Outcome::Delivered),
        "the lost ones are in flight: {outcomes:?}"
    );
    assert_eq!(reconnects(&sink), "1");
}

/// The service answers what the gateway asks about the topic, but takes its time to publish.
#[test]
fn a_service_that_is_slow_to_publish_is_waited_for() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "slow");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(2, 1);
    calls.send(&records[..1], AMPLE);
    assert_eq!(calls.await_outcomes(1), delivered(0..1));

    proxy.slow_down(9 * SHORT / 2);
    let end = Instant::now() + AMPLE;
    loop {
        assert!(Instant::now() < end, "it is never delivered");
        let token = calls.send(&records[1..], AMPLE);
        match calls.await_outcomes(1)[..] {
            [(told, Outcome::Delivered)] if told == token => break,
            [(told, Outcome::Retryable)] if told == token => {}
            ref other => panic!("{other:?}"),
        }
    }
}

fn reconnects(sink: &PubSubSink) -> String {
    let statistics = sink.statistics().into_iter();
    let mut reconnects = statistics.filter(|one| one.name == "reconnects_total");
    reconnects.next().unwrap().value.to_string()
}

#[test]
fn records_of_one_key_are_in_order_over_calls_that_are_under_way_together() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "overlapping");
    let proxy = Proxy::start(&pubsub.host());
    let sink = through(&proxy, &[&name]);
    let mut calls = Calls::open(&sink, &name);
    let records = numbered(200, 2);
    proxy.hold_answers();
    for batch in records.chunks(10) {
        calls.send(batch, AMPLE);
    }
    proxy.release_answers();
    assert_eq!(calls.await_outcomes(200), delivered(0..200));
    let messages = pubsub.read_all(&name);
    for key in ["1001/0", "1001/1"] {
        let of_key = messages
            .iter()
            .filter(|message| message.ordering_key == key);
        let read: Vec<&str> = of_key
            .map(|message| &*message.attributes["ce-id"])
            .collect();
        let sent = records.iter().filter(|record| &*record.key == key);
        let sent: Vec<String> = sent.map(|record| record.id.to_string()).collect();
        assert_eq!(read, sent);
    }
}
