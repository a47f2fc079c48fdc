//! Three brokers. With `min.insync.replicas=2` the loss of one costs nothing, and the loss of two
//! stops the topic. Without replicas the loss of one stops its partitions, and no other.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use iem_sink::testing::{record, topic};
use iem_sink::{DeliveryToken, Outcome, Record, Sending, Settled, Sink as _, Writer};
use iem_sink_kafka::KafkaSink;
use iem_test_support::brokers::kafka::{Kafka, Options};

use crate::load::{survive, tally};
use crate::rig::{AMPLE, close, sink};

/// A waker of a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Sends records under tokens from `first` on.
fn send(writer: &mut dyn Writer, records: &[&Record], first: u64) {
    let sending: Vec<_> = (first..)
        .map(DeliveryToken)
        .zip(records)
        .map(|(token, record)| Sending { token, record })
        .collect();
    let mut settled = Settled::default();
    writer.send(&sending, Instant::now() + AMPLE, &mut settled);
    assert_eq!(settled.outcomes(), []);
}

/// Waits until `count` outcomes have come, which must be these of tokens from `first` on.
fn expect(writer: &mut dyn Writer, count: usize, first: u64, expected: Outcome) {
    let end = Instant::now() + AMPLE;
    let mut settled = Settled::default();
    while settled.outcomes().len() < count {
        assert!(Instant::now() < end, "outcomes come in time");
        std::thread::park_timeout(Duration::from_secs(1));
        writer.settle(&mut settled);
    }
    let mut tokens: Vec<_> = settled
        .outcomes()
        .iter()
        .map(|(token, _)| token.0)
        .collect();
    tokens.sort_unstable();
    assert!(tokens.into_iter().eq((first..).take(count)));
    for (_, outcome) in settled.outcomes() {
        assert_eq!(*outcome, expected);
    }
}

/// Waits until partitions of the topic have no leader, and returns them.
fn leaderless(sink: &KafkaSink) -> Vec<usize> {
    let end = Instant::now() + AMPLE;
    loop {
        if let Err(error) = sink.check(end)
            && let Some((_, list)) = error.message.split_once("no leader for partitions [")
        {
            let (list, _) = list.split_once(']').unwrap();
            return list.split(", ").map(|one| one.parse().unwrap()).collect();
        }
        assert!(Instant::now() < end, "partitions lose their leader");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Creates a record of each unit.
fn one_of_each_unit(writer: &dyn Writer) -> Vec<Record> {
    let of_unit = |unit| {
        let mut records = (0..).map(|n| record(&format!("1001/{n}"), "{}"));
        records.find(|record| writer.unit(record) == unit).unwrap()
    };
    (0..writer.units()).map(of_unit).collect()
}

#[test]
fn partitions_without_a_leader_hold_up_no_other() {
    const DEADLINE: Duration = Duration::from_secs(6);
    let kafka = Kafka::start(&Options {
        brokers: 3,
        ..Options::default()
    });
    kafka.create_topic("single", 6, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut writer = sink.writer(&topic("single"), waker).unwrap();
    let records = one_of_each_unit(&*writer);
    let all: Vec<&Record> = records.iter().collect();
    send(&mut *writer, &all, 0);
    expect(&mut *writer, all.len(), 0, Outcome::Delivered);
    kafka.kill(2);
    let dead = leaderless(&sink);
    let (stuck, live): (Vec<&Record>, Vec<&Record>) = records
        .iter()
        .partition(|record| dead.contains(&writer.unit(record)));
    assert!(!stuck.is_empty() && !live.is_empty(), "{dead:?}");

    send(&mut *writer, &stuck, 100);
    for round in 10..40 {
        send(&mut *writer, &live, round * 100);
        expect(&mut *writer, live.len(), round * 100, Outcome::Delivered);
    }
    expect(&mut *writer, stuck.len(), 100, Outcome::Retryable);
    send(&mut *writer, &live, 5000);
    expect(&mut *writer, live.len(), 5000, Outcome::Delivered);

    kafka.restart(2);
    let end = Instant::now() + AMPLE;
    while let Err(error) = sink.check(end) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
    send(&mut *writer, &stuck, 6000);
    expect(&mut *writer, stuck.len(), 6000, Outcome::Delivered);
    drop(writer);
    close(sink);
}

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
