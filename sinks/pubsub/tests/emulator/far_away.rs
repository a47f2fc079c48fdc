//! A backend that is 30 ms away in each direction.

use std::sync::Barrier;

use iem_test_support::brokers::delaying_proxy::{DelayingProxy, ONE_WAY};

use super::*;

const WRITERS: usize = 8;
const BATCHES: usize = 12;

/// Writers that wait for one another need a round trip for each batch of each writer.
#[test]
fn writers_do_not_wait_for_one_another() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "far");
    let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
    let sink = PubSubSink::open(config(format!("http://{}", proxy.address()))).unwrap();
    let batches: Vec<Vec<Record>> = (0..WRITERS).map(|_| numbered(BATCHES * 5, 5)).collect();

    let ready = Barrier::new(WRITERS + 1);
    let elapsed = std::thread::scope(|scope| {
        for records in &batches {
            let mut writer = writer(&sink, &name);
            let ready = &ready;
            scope.spawn(move || {
                // The first batch makes the connection.
                deliver(&mut writer, &records[..5]);
                ready.wait();
                records[5..]
                    .chunks(5)
                    .for_each(|batch| deliver(&mut writer, batch));
                ready.wait();
            });
        }
        ready.wait();
        let began = Instant::now();
        ready.wait();
        began.elapsed()
    });

    let in_turn = u32::try_from(WRITERS * (BATCHES - 1)).unwrap() * 2 * ONE_WAY;
    assert!(
        elapsed < in_turn,
        "in flight together: {elapsed:?}, one after another: {in_turn:?}"
    );
    assert_once(&pubsub.read_all(&name), &batches.concat());
}

/// A batch of several requests takes about as long as one.
#[test]
fn requests_of_one_batch_are_in_flight_together() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "far-keys");
    let proxy = DelayingProxy::start(&pubsub.host(), ONE_WAY);
    let endpoint = format!("http://{}", proxy.address());
    let ordered_topics = [name.clone()].into();
    let sink = PubSubSink::open(PubSubConfig {
        ordered_topics,
        ..config(endpoint)
    })
    .unwrap();
    let mut writer = writer(&sink, &name);
    let records = numbered(300, 75);
    deliver(&mut writer, &records[..75]);

    let began = Instant::now();
    deliver(&mut writer, &records[75..]);
    let elapsed = began.elapsed();
    assert!(
        elapsed < 75 * 2 * ONE_WAY,
        "75 keys are 75 requests, together: {elapsed:?}"
    );
    assert_once(&pubsub.read_all(&name), &records);
}
