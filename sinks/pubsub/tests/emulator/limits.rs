//! Records that Pub/Sub does not take, and the delivery of the others in their batch.

use iem_sink::Reason;
use iem_sink_pubsub::{MAX_ATTRIBUTE_BYTES, MAX_REQUEST_BYTES};

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
    let (outcomes, result) = write(&mut writer(&open(pubsub), &name), &records, AMPLE);
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
        &mut writer(&open(pubsub), &name),
        &[record("1001/a", "{}"), largest.clone()],
    );
    assert!(
        pubsub
            .read_all(&name)
            .iter()
            .any(|message| message.data == largest.data)
    );
}
