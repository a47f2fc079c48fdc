//! The pipeline against the scripted sink: what is taken, what is acknowledged, what is tried
//! again.

mod faults;
mod rejected;

use std::time::Duration;

use bytes::Bytes;
use iem_sink::testing::{Behaviour, ScriptedSink, record};
use iem_sink::{Outcome, Reason, Record, SinkErrorKind};

use super::*;
use crate::config::SinkKind;
use crate::shares::Ledger;

struct Rig {
    sink: ScriptedSink,
    pipeline: Pipeline,
    ledger: Arc<Ledger>,
}

fn settings() -> Topic {
    Topic {
        name: "events".to_owned(),
        sink: SinkKind::File,
        key: Vec::new(),
        queue_records: 200,
        queue_bytes: 20_000,
        batch_records: 100,
        batch_bytes: 10_000,
        linger: Duration::ZERO,
        deadline: Duration::from_secs(10),
        workers: 1,
        ordering: false,
        durability: Durability::Delivered,
        dead_letter: false,
    }
}

fn rig(settings: &Topic) -> Rig {
    rig_that_keeps(settings, None)
}

fn rig_that_keeps(settings: &Topic, rejected: Option<RejectedParts>) -> Rig {
    let sink = ScriptedSink::new();
    let backend = Arc::new(Backend {
        name: "scripted",
        sink: Box::new(sink.clone()),
    });
    let observer: Arc<dyn Observer> = Arc::new(Unobserved);
    let pipeline = Pipeline::start("events", settings, &backend, &observer, None, rejected)
        .expect("there are threads");
    assert_eq!(pipeline.opened(soon()), Ok(()));
    Rig {
        sink,
        pipeline,
        ledger: Ledger::new(1, 1),
    }
}

impl Rig {
    fn submit(&self, records: impl IntoIterator<Item = Record>) -> Result<Receipt, SubmitError> {
        let records: Records = records.into_iter().collect();
        let bytes = records.iter().map(|record| record.data.len()).sum();
        let mut claims = Claims::new(0);
        let customer = self.ledger.customer(&"acme".into());
        claims.add(customer, records.len(), bytes);
        self.pipeline
            .submit(records, bytes, claims, Demand::default(), Instant::now())
            .map(Receipt::wake)
    }

    /// Closes the pipeline and returns how many records were delivered, rejected and not delivered.
    fn settled(self) -> (u64, u64, u64) {
        let vitals = self.pipeline.vitals();
        assert!(self.pipeline.close(soon()));
        let balance = vitals.balance();
        assert_eq!((balance.unaccounted(), balance.in_flight), (0, 0));
        (balance.delivered, balance.rejected, balance.undelivered)
    }

    /// Occupies the worker with a write that waits for a release.
    fn occupy(&self) -> Receipt {
        self.sink.once("events", Behaviour::Stall);
        let receipt = self
            .submit([numbered("occupies", 0)])
            .expect("the queue is empty");
        self.sink.wait_for("events", |log| log.waiting == 1);
        receipt
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn numbered(key: &str, number: usize) -> Record {
    record(key, format!(r#"{{"n":{number}}}"#))
}

fn outcomes(receipt: Receipt) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime
        .expect("a runtime")
        .block_on(receipt.outcomes())
        .into_vec()
}

fn transient() -> SinkError {
    SinkError::transient("away")
}

#[test]
fn records_that_arrive_during_a_write_form_one_batch() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let receipts: Vec<_> = (1..=50)
        .map(|n| rig.submit([numbered("k", n)]).expect("room"))
        .collect();
    rig.sink.release("events");
    for receipt in receipts.into_iter().chain([first]) {
        assert_eq!(outcomes(receipt), [Outcome::Delivered]);
    }
    assert_eq!(rig.sink.log("events").batches, [1, 50]);
    assert!(rig.pipeline.close(soon()));
}

#[test]
fn a_batch_keeps_its_bounds_and_splits_requests() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let receipts = [60, 40, 30, 70].map(|count| rig.submit((0..count).map(|n| numbered("k", n))));
    assert_eq!(
        receipts[3].as_ref().err(),
        Some(&SubmitError::OverShare),
        "1 + 60 + 40 + 30 + 70 > 200"
    );
    rig.sink.release("events");
    for receipt in receipts.into_iter().flatten().chain([first]) {
        assert!(
            outcomes(receipt)
                .iter()
                .all(|outcome| *outcome == Outcome::Delivered)
        );
    }
    assert_eq!(rig.sink.log("events").batches, [1, 100, 30]);
}

#[test]
fn a_request_larger_than_a_batch_is_several_batches() {
    let rig = rig(&settings());
    let receipt = rig
        .submit((0..150).map(|n| numbered("k", n)))
        .expect("room");
    assert_eq!(outcomes(receipt), [Outcome::Delivered; 150]);
    assert_eq!(rig.sink.log("events").batches, [100, 50]);
}

#[test]
fn full_and_too_large_differ_and_take_no_budget() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let many = |count| rig.submit((0..count).map(|n| numbered("k", n)));
    assert_eq!(many(201).err(), Some(SubmitError::TooLarge));
    let mut large = numbered("k", 0);
    large.data = Bytes::from(vec![b' '; 20_001]);
    assert_eq!(
        rig.submit([large.clone()]).err(),
        Some(SubmitError::TooLarge)
    );
    large.data = Bytes::from(vec![b' '; 20_000]);
    assert_eq!(
        rig.submit([large]).err(),
        Some(SubmitError::Full),
        "the byte bound counts what is being written"
    );
    let second = many(199).expect("exactly the room there is");
    assert_eq!(many(1).err(), Some(SubmitError::OverShare));
    assert_eq!(rig.pipeline.vitals().records(), 200);
    rig.sink.release("events");
    assert_eq!((outcomes(first).len(), outcomes(second).len()), (1, 199));
    assert_eq!(
        (
            rig.pipeline.vitals().records(),
            rig.pipeline.vitals().bytes()
        ),
        (0, 0)
    );
}

#[test]
fn a_key_always_goes_to_one_worker_and_outcomes_keep_the_order_of_the_request() {
    let mut settings = settings();
    settings.workers = 4;
    let rig = rig(&settings);
    let reason = Reason::TooLarge { limit: 1 };
    rig.sink.set(
        "events",
        Behaviour::Reject(Arc::new(|record| record.data.ends_with(b"7}")), reason),
    );
    let receipt = rig
        .submit((0..100).map(|n| numbered(&format!("k{}", n % 10), n)))
        .expect("room");
    let outcomes = outcomes(receipt);
    assert_eq!(outcomes.len(), 100);
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let expected = if n % 10 == 7 {
            Outcome::Rejected(reason)
        } else {
            Outcome::Delivered
        };
        assert_eq!(outcome, expected, "of record {n}");
    }
    let delivered = rig.sink.log("events").delivered;
    for key in 0..10 {
        let of_key: Vec<_> = delivered
            .iter()
            .filter(|record| *record.key == *format!("k{key}"))
            .collect();
        assert!(
            of_key.is_sorted_by_key(|record| record.data.len()),
            "key {key} in order"
        );
    }
    assert!(
        rig.sink.log("events").batches.len() > 1,
        "several workers had a share"
    );
    assert_eq!(rig.pipeline.vitals().records(), 0);
}

#[test]
fn closing_settles_all_accepted_records() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let second = rig.submit([numbered("k", 1)]).expect("room");
    let sink = rig.sink.clone();
    let closing = std::thread::spawn(move || rig.pipeline.close(soon()));
    sink.release("events");
    assert_eq!(
        (outcomes(first), outcomes(second)),
        (vec![Outcome::Delivered], vec![Outcome::Delivered])
    );
    assert!(closing.join().expect("it does not panic"));
    assert_eq!(sink.log("events").writers, 0);
}

#[test]
fn a_topic_that_the_sink_refuses_does_not_open() {
    let sink = ScriptedSink::new();
    sink.refuse("events", Some(SinkError::permanent("no topic events")));
    let backend = Arc::new(Backend {
        name: "scripted",
        sink: Box::new(sink),
    });
    let observer: Arc<dyn Observer> = Arc::new(Unobserved);
    let pipeline = Pipeline::start("events", &settings(), &backend, &observer, None, None)
        .expect("there are threads");
    let error = pipeline.opened(soon()).expect_err("it is refused");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (SinkErrorKind::Permanent, "no topic events")
    );
}
