//! Tests of the figures that follow from moments.

use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use super::*;
use crate::admin::console::moment::{KeyMoment, SinkMoment};
use crate::pipeline::JournalVitals;
use crate::telemetry::{Counts, CustomerTotals, Snapshot, TopicSnapshot};

/// A topic's snapshot with a channel of 100 records and 1,000 bytes.
fn topic(accepted: u64, records: usize, journal: Option<JournalVitals>) -> TopicSnapshot {
    TopicSnapshot {
        topic: "events",
        sink: "file",
        records,
        bytes: 10 * records,
        records_max: 100,
        bytes_max: 1_000,
        balance: Balance {
            accepted,
            delivered: accepted,
            backlog: 0,
            ..Balance::default()
        },
        up: true,
        dead_lettered: accepted / 10,
        dead_letters_lost: 0,
        journal,
    }
}

fn moment(begin: Instant, second: u64, topic: TopicSnapshot) -> Moment {
    let accepted = topic.balance.accepted;
    let endpoint = EndpointCounts {
        endpoint: "events",
        answered: accepted,
        unavailable: accepted / 4,
        // All took between 1 and 2.5 ms.
        within: std::iter::repeat_n(0, 4)
            .chain(std::iter::repeat_n(accepted, 11))
            .collect(),
        ..EndpointCounts::default()
    };
    Moment {
        at: begin + Duration::from_secs(second),
        clock: UNIX_EPOCH + Duration::from_secs(1_000 + second),
        name: "gateway".to_owned(),
        draining: false,
        snapshot: Snapshot {
            topics: vec![topic],
            ..Snapshot::default()
        },
        sinks: vec![SinkMoment::default()],
        counts: Counts {
            limits: vec![("quota", accepted / 100), ("queue", 0)],
            endpoints: vec![endpoint],
            ..Counts::default()
        },
        customers: vec![
            totals("acme", accepted),
            totals("idle", 5),
            totals("nobody", 0),
        ],
        faulty_files: Vec::new(),
        keys: vec![KeyMoment {
            id: "key".to_owned(),
            created: UNIX_EPOCH,
            signs: true,
        }],
    }
}

fn totals(customer: &str, accepted: u64) -> CustomerTotals {
    CustomerTotals {
        customer: Some(Arc::from(customer)),
        accepted,
        refused: 0,
    }
}

fn overview(history: &History) -> Overview {
    let started = UNIX_EPOCH + Duration::from_secs(500);
    history.overview(started, |customer| (customer == "acme").then_some(200))
}

/// A history of `seconds`, in which a second brings 100 records.
fn steady(seconds: u64) -> History {
    let begin = Instant::now();
    let mut history = History::default();
    for second in 0..=seconds {
        history.push(moment(begin, second, topic(100 * second, 3, None)));
    }
    history
}

#[track_caller]
fn is_near(found: Option<f64>, expected: f64) {
    let difference = found.map(|found| (found - expected).abs());
    assert!(
        difference.is_some_and(|difference| difference < 1e-6),
        "{found:?}"
    );
}

#[test]
fn without_two_moments_no_rate_is_known() {
    assert_eq!(overview(&History::default()), Overview::default());
    let overview = overview(&steady(0));
    assert_eq!(overview.ledger.accepted_rate, None);
    assert_eq!(
        (overview.topics[0].rate, overview.topics[0].p50_s),
        (None, None)
    );
    assert!(overview.topics[0].line.is_empty());
    assert_eq!(overview.up_s, 500);
}

#[test]
fn rates_are_those_of_the_last_seconds_and_the_line_is_of_a_minute() {
    let overview = overview(&steady(100));
    let topic = &overview.topics[0];
    is_near(topic.rate, 100.0);
    is_near(overview.ledger.accepted_rate, 100.0);
    is_near(overview.clients.request_rate, 100.0);
    assert_eq!(topic.line.len(), 60);
    assert!(topic.line.iter().all(|rate| (rate - 100.0).abs() < 1e-6));
    is_near(topic.p50_s, 0.001_75);
    assert_eq!((topic.requests, topic.unavailable), (6_000, 1_500));
    assert_eq!(topic.dead_lettered_lately, 600);
    let quota = &overview.limits[0];
    assert_eq!((overview.limits.len(), &*quota.limit), (1, "quota"));
    assert_eq!(
        quota.reached,
        Recent {
            lately: 60,
            total: 100
        }
    );
}

#[test]
fn customers_with_the_most_records_come_first() {
    let overview = overview(&steady(30));
    let customers = &overview.customers;
    assert_eq!((customers.seen, customers.top.len()), (2, 2));
    assert_eq!(customers.top[0].customer.as_deref(), Some("acme"));
    is_near(customers.top[0].rate, 100.0);
    assert_eq!(
        (customers.top[0].quota, customers.top[1].quota),
        (Some(200), None)
    );
    is_near(customers.top[1].rate, 0.0);
}

#[test]
fn moments_are_bounded_and_old_ones_hold_no_customers() {
    let history = steady(200);
    assert_eq!(history.0.len(), MOMENTS_MAX);
    let with_customers = history
        .0
        .iter()
        .filter(|moment| !moment.customers.is_empty());
    assert_eq!(with_customers.count(), RATE_MOMENTS + 1);
}

#[test]
fn what_fills_up_says_when_it_is_full() {
    let check = |topics: [TopicSnapshot; 2], expected: Option<f64>| {
        let begin = Instant::now();
        let mut history = History::default();
        for (second, topic) in [0, 10].into_iter().zip(topics) {
            history.push(moment(begin, second, topic));
        }
        let found = overview(&history).topics[0].full_in_s;
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => is_near(found, expected),
        }
    };
    check([topic(0, 10, None), topic(0, 60, None)], Some(8.0));
    check([topic(0, 60, None), topic(0, 10, None)], None);
    check([topic(0, 0, None), topic(0, 4, None)], None);
    let journal = |bytes, age_s| {
        let mut vitals = JournalVitals {
            oldest_age: Duration::from_secs(age_s),
            age_max: Duration::from_secs(1_000),
            ..JournalVitals::default()
        };
        vitals.status.bytes = bytes;
        vitals.status.bytes_max = 1_000;
        vitals
    };
    let backlog = |records, journal| {
        let mut topic = topic(0, 0, Some(journal));
        topic.balance.backlog = records;
        topic
    };
    check(
        [backlog(0, journal(100, 0)), backlog(9, journal(200, 0))],
        Some(80.0),
    );
    check(
        [backlog(0, journal(100, 0)), backlog(9, journal(100, 10))],
        Some(990.0),
    );
    check(
        [backlog(9, journal(100, 0)), backlog(9, journal(200, 0))],
        None,
    );
}
