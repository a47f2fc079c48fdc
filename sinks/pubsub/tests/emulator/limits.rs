//! Records that Pub/Sub does not take, and the delivery of the others in their batch.

use iem_sink::{Reason, SinkErrorKind};
use iem_sink_pubsub::{MAX_ATTRIBUTE_BYTES, MAX_REQUEST_BYTES};
use serde_json::json;

use super::*;

#[test]
fn a_record_beyond_the_limits_is_rejected_and_its_neighbours_are_delivered() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "limits");
    let records = [
        record("1001/a", r#"{"n":0}"#),
        record(
            "1001/a",
            format!(r#"{{"text":"{}"}}"#, "x".repeat(MAX_REQUEST_BYTES)),
        ),
        record("1001/a", r#"{"n":2}"#),
        record(&format!("1001/{}", "é".repeat(600)), r#"{"n":3}"#),
        record("1001/b", r#"{"n":4}"#),
    ];
    let (outcomes, result) = write(&mut *writer(&open(pubsub), &name), &records, AMPLE);
    let rejected = |limit| Outcome::Rejected(Reason::TooLarge { limit });
    let expected = [
        Outcome::Delivered,
        rejected(MAX_REQUEST_BYTES),
        Outcome::Delivered,
        rejected(MAX_ATTRIBUTE_BYTES),
        Outcome::Delivered,
    ];
    assert_eq!((outcomes, result), (expected.to_vec(), Ok(())));
    assert_once(
        &pubsub.read_all(&name),
        &[records[0].clone(), records[2].clone(), records[4].clone()],
    );
}

#[test]
fn the_largest_record_that_is_not_rejected_is_delivered() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "largest");
    let largest = record(
        "1001/a",
        format!(r#"{{"text":"{}"}}"#, "x".repeat(MAX_REQUEST_BYTES - 600)),
    );
    deliver(
        &mut *writer(&open(pubsub), &name),
        &[record("1001/a", "{}"), largest.clone()],
    );
    assert!(
        pubsub
            .read_all(&name)
            .iter()
            .any(|message| message.data == largest.data)
    );
}

/// Creates records that a topic's schema takes, except those with the numbers in `bad`.
fn schema_records(count: usize, bad: &[usize], keys: usize) -> Vec<Record> {
    (0..count)
        .map(|n| {
            let data = if bad.contains(&n) {
                r#"{"other":true}"#.to_owned()
            } else {
                format!(r#"{{"n":{n}}}"#)
            };
            record(&format!("1001/{}", n % keys), data)
        })
        .collect()
}

fn topic_with_schema(pubsub: &PubSub) -> String {
    let name = fresh_name("schema");
    let fields = json!([{ "name": "n", "type": "int" }]);
    pubsub.create_topic_with_schema(
        &name,
        &json!({ "type": "record", "name": "Numbered", "fields": fields }),
    );
    name
}

#[test]
fn records_that_the_schema_refuses_fail_alone() {
    let pubsub = PubSub::shared();
    let name = topic_with_schema(pubsub);
    let bad = [0, 57, 58, 199];
    let records = schema_records(200, &bad, 5);
    let (outcomes, result) = write(&mut *writer(&open(pubsub), &name), &records, AMPLE);
    for (n, outcome) in outcomes.iter().enumerate() {
        let expected = if bad.contains(&n) {
            Outcome::Retryable
        } else {
            Outcome::Delivered
        };
        assert_eq!(*outcome, expected, "record {n}: {result:?}");
    }
    let error = result.unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Permanent);
    assert!(error.message.contains("schema"), "{error}");
    let delivered: Vec<Record> = (0..200)
        .filter(|n| !bad.contains(n))
        .map(|n| records[n].clone())
        .collect();
    assert_once(&pubsub.read_all(&name), &delivered);
}

#[test]
fn no_record_is_delivered_past_a_refused_one_of_its_key() {
    let pubsub = PubSub::shared();
    let name = topic_with_schema(pubsub);
    let records = schema_records(60, &[31], 3);
    let (outcomes, result) = write(
        &mut *writer(&open_ordered(pubsub, &name), &name),
        &records,
        AMPLE,
    );
    let delivered: Vec<Record> = (0..60)
        .filter(|n| *n < 31 || n % 3 != 31 % 3)
        .map(|n| records[n].clone())
        .collect();
    let marked: Vec<Record> = records
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == Outcome::Delivered)
        .map(|(record, _)| record.clone())
        .collect();
    assert_eq!(ids(&marked), ids(&delivered), "{result:?}");
    assert_once(&pubsub.read_all(&name), &delivered);
}
