//! Sinks that fail, hang, reject records or panic.

use super::*;

#[test]
fn only_open_records_are_tried_again_and_their_neighbours_do_not_wait() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let bad: iem_sink::testing::Predicate = Arc::new(|record| &*record.key == "bad");
    rig.sink
        .once("events", Behaviour::FailSome(Arc::clone(&bad), transient()));
    rig.sink
        .once("events", Behaviour::FailSome(bad, transient()));
    let mixed = rig
        .submit([numbered("good", 1), numbered("bad", 2), numbered("good", 3)])
        .expect("room");
    let good = rig.submit([numbered("good", 4)]).expect("room");
    rig.sink.release("events");
    assert_eq!(outcomes(good), [Outcome::Delivered]);
    assert_eq!(outcomes(mixed), [Outcome::Delivered; 3]);
    assert_eq!(outcomes(first), [Outcome::Delivered]);
    let log = rig.sink.log("events");
    assert_eq!(log.batches, [1, 4, 1, 1]);
    let delivered: Vec<_> = log
        .delivered
        .iter()
        .map(|record| &record.data[..])
        .collect();
    assert_eq!(
        delivered,
        [
            &br#"{"n":0}"#[..],
            br#"{"n":1}"#,
            br#"{"n":3}"#,
            br#"{"n":4}"#,
            br#"{"n":2}"#
        ]
    );
    assert_eq!(rig.settled(), (5, 0, 0));
}

#[test]
fn a_retried_record_stays_ahead_of_later_records_of_its_key() {
    let rig = rig(&settings());
    rig.sink.set("events", Behaviour::Fail(transient()));
    let receipts: Vec<_> = (0..5)
        .map(|n| {
            let receipt = rig.submit([numbered("k", n)]).expect("room");
            // Each joins while its predecessors are being tried again.
            rig.sink.wait_for("events", |log| {
                log.batches.last().is_some_and(|batch| *batch > n)
            });
            receipt
        })
        .collect();
    rig.sink.set("events", Behaviour::Deliver);
    for receipt in receipts {
        assert_eq!(outcomes(receipt), [Outcome::Delivered]);
    }
    let delivered = rig.sink.log("events").delivered;
    let expected: Vec<_> = (0..5)
        .map(|n| Bytes::from(format!(r#"{{"n":{n}}}"#)))
        .collect();
    assert_eq!(
        delivered
            .into_iter()
            .map(|record| record.data)
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_rejected_record_is_reported_and_not_tried_again() {
    let rig = rig(&settings());
    let reason = Reason::TooLarge { limit: 5 };
    rig.sink.set(
        "events",
        Behaviour::Reject(Arc::new(|record| &*record.key == "large"), reason),
    );
    let receipt = rig
        .submit([numbered("a", 0), numbered("large", 1)])
        .expect("room");
    assert_eq!(
        outcomes(receipt),
        [Outcome::Delivered, Outcome::Rejected(reason)]
    );
    assert_eq!(rig.sink.log("events").batches, [2]);
    assert_eq!(rig.settled(), (1, 1, 0));
}

#[test]
fn open_records_are_not_delivered_at_the_deadline() {
    let mut settings = settings();
    settings.deadline = Duration::from_millis(100);
    let rig = rig(&settings);
    rig.sink.set("events", Behaviour::Fail(transient()));
    assert_eq!(
        outcomes(rig.submit([numbered("k", 0)]).expect("room")),
        [Outcome::Retryable]
    );
    assert_eq!(
        rig.pipeline
            .vitals()
            .health()
            .down(Instant::now())
            .as_deref(),
        Some("away")
    );
    rig.sink.set("events", Behaviour::Deliver);
    // The pause behind the last attempt is over, which may be as long as the deadline.
    std::thread::sleep(2 * settings.deadline);
    assert_eq!(
        outcomes(rig.submit([numbered("k", 1)]).expect("room")),
        [Outcome::Delivered]
    );
    let vitals = rig.pipeline.vitals();
    assert_eq!(rig.settled(), (1, 0, 1));
    assert_eq!(vitals.health().down(Instant::now()), None);
}

#[test]
fn a_write_that_hangs_is_answered_and_keeps_its_budget() {
    let mut settings = settings();
    settings.deadline = Duration::from_millis(50);
    let rig = rig(&settings);
    rig.sink.once("events", Behaviour::StallPastDeadline);
    assert_eq!(
        outcomes(rig.submit([numbered("k", 0)]).expect("room")),
        [Outcome::Retryable]
    );
    assert_eq!(
        rig.pipeline.vitals().records(),
        1,
        "the sink still holds it"
    );
    let waits = rig.submit([numbered("k", 1)]).expect("room");
    assert_eq!(outcomes(waits), [Outcome::Retryable], "late in the queue");
    rig.sink.release("events");
    assert!(rig.pipeline.close(Instant::now() + Duration::from_secs(5)));
    assert_eq!(
        rig.sink.log("events").batches,
        [1],
        "what was late in the queue is not written at all"
    );
}

#[test]
fn a_permanent_error_is_not_retried() {
    let rig = rig(&settings());
    rig.sink.set(
        "events",
        Behaviour::Fail(SinkError::permanent("no such topic")),
    );
    assert_eq!(
        outcomes(rig.submit([numbered("k", 0)]).expect("room")),
        [Outcome::Undeliverable]
    );
    assert_eq!(rig.sink.log("events").batches, [1]);
}

#[test]
fn a_panic_delivers_nothing_and_the_writer_is_reopened() {
    let rig = rig(&settings());
    rig.sink.once("events", Behaviour::Panic);
    rig.sink.once("events", Behaviour::Panic);
    assert_eq!(
        outcomes(rig.submit([numbered("k", 0)]).expect("room")),
        [Outcome::Delivered]
    );
    let log = rig.sink.log("events");
    assert_eq!(
        (log.batches.len(), log.delivered.len(), log.writers),
        (3, 1, 1)
    );
}
