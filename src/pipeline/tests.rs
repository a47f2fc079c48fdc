//! The pipeline against the scripted sink: what is taken, what is acknowledged, what is tried
//! again.

use std::sync::Mutex;

use bytes::Bytes;
use iem_sink::testing::{Behaviour, ScriptedSink, record};
use iem_sink::{Reason, SinkErrorKind};

use super::*;

#[derive(Default)]
struct Observed(Mutex<(usize, usize, usize)>);

impl Observer for Observed {
    fn wrote(&self, _records: usize, _elapsed: Duration) {}

    fn settled(&self, delivered: usize, rejected: usize, undelivered: usize) {
        let mut sums = self.0.lock().expect("no test panics with it");
        *sums = (sums.0 + delivered, sums.1 + rejected, sums.2 + undelivered);
    }
}

struct Rig {
    sink: ScriptedSink,
    observed: Arc<Observed>,
    pipeline: Pipeline,
}

fn settings() -> TopicSettings {
    TopicSettings {
        topic: "events",
        config: TopicConfig {
            name: "events".to_owned(),
            workers: 1,
            batch_records: 100,
            batch_bytes: 10_000,
            deadline: Duration::from_secs(10),
        },
        queue_records: 200,
        queue_bytes: 20_000,
        linger: Duration::ZERO,
    }
}

fn rig(settings: &TopicSettings) -> Rig {
    let sink = ScriptedSink::new();
    let observed = Arc::new(Observed::default());
    let backend = Arc::new(Backend {
        name: "scripted",
        sink: Box::new(sink.clone()),
    });
    let as_observer: Arc<dyn Observer> = Arc::clone(&observed) as _;
    let pipeline =
        Pipeline::start(settings, &backend, &as_observer).expect("the scripted sink opens");
    Rig {
        sink,
        observed,
        pipeline,
    }
}

impl Rig {
    fn submit(&self, records: impl IntoIterator<Item = Record>) -> Result<Receipt, Refused> {
        self.pipeline
            .submit(records.into_iter().collect(), Instant::now())
            .map(Receipt::announced)
    }

    /// What the worker reported, which it does after it has answered.
    fn settled(self) -> (usize, usize, usize) {
        assert!(self.pipeline.close(Instant::now() + Duration::from_secs(5)));
        *self.observed.0.lock().expect("no test panics with it")
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
fn what_arrives_during_a_write_goes_as_one_batch() {
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
    assert!(rig.pipeline.close(Instant::now() + Duration::from_secs(5)));
}

#[test]
fn a_batch_keeps_its_bounds_and_a_request_is_not_split() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let request = |count| (0..count).map(|n| numbered("k", n));
    let receipts = [60, 40, 30, 70].map(|count| rig.submit(request(count)));
    assert_eq!(
        receipts[3].as_ref().err(),
        Some(&Refused::Full),
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
fn a_request_larger_than_a_batch_goes_alone() {
    let rig = rig(&settings());
    let receipt = rig
        .submit((0..150).map(|n| numbered("k", n)))
        .expect("room");
    assert_eq!(outcomes(receipt).len(), 150);
    assert_eq!(rig.sink.log("events").batches, [150]);
}

#[test]
fn full_and_too_large_are_told_apart_and_take_no_room() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let many = |count| rig.submit((0..count).map(|n| numbered("k", n)));
    assert_eq!(many(201).err(), Some(Refused::TooLarge));
    let mut large = numbered("k", 0);
    large.data = Bytes::from(vec![b' '; 20_001]);
    assert_eq!(rig.submit([large.clone()]).err(), Some(Refused::TooLarge));
    large.data = Bytes::from(vec![b' '; 20_000]);
    assert_eq!(
        rig.submit([large]).err(),
        Some(Refused::Full),
        "the byte bound counts what is being written"
    );
    let second = many(199).expect("exactly the room there is");
    assert_eq!(many(1).err(), Some(Refused::Full));
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
fn only_what_is_left_open_is_tried_again_and_its_neighbours_do_not_wait() {
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
fn what_is_tried_again_stays_ahead_of_later_records_of_its_key() {
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
fn rejected_records_are_told_and_not_tried_again() {
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
fn at_the_deadline_what_is_open_is_not_delivered() {
    let mut settings = settings();
    settings.config.deadline = Duration::from_millis(100);
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
    assert_eq!(
        outcomes(rig.submit([numbered("k", 1)]).expect("room")),
        [Outcome::Delivered]
    );
    assert_eq!(rig.pipeline.vitals().health().down(Instant::now()), None);
    assert_eq!(rig.settled(), (1, 0, 1));
}

#[test]
fn a_write_that_does_not_come_back_is_answered_and_keeps_its_room() {
    let mut settings = settings();
    settings.config.deadline = Duration::from_millis(50);
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
fn a_permanent_error_is_not_tried_until_the_deadline() {
    let rig = rig(&settings());
    rig.sink.set(
        "events",
        Behaviour::Fail(SinkError::permanent("no such topic")),
    );
    assert_eq!(
        outcomes(rig.submit([numbered("k", 0)]).expect("room")),
        [Outcome::Retryable]
    );
    assert_eq!(rig.sink.log("events").batches, [1]);
}

#[test]
fn a_panic_delivers_nothing_and_the_writer_is_opened_anew() {
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

#[test]
fn one_key_always_goes_to_one_worker_and_outcomes_find_their_places() {
    let mut settings = settings();
    settings.config.workers = 4;
    let rig = rig(&settings);
    let reason = Reason::TooLarge { limit: 1 };
    rig.sink.set(
        "events",
        Behaviour::Reject(Arc::new(|record| record.data.ends_with(b"7}")), reason),
    );
    let receipt = rig
        .submit((0..100).map(|n| numbered(&format!("k{}", n % 10), n)))
        .expect("room");
    let expected = |n| {
        if n % 10 == 7 {
            Outcome::Rejected(reason)
        } else {
            Outcome::Delivered
        }
    };
    assert_eq!(
        outcomes(receipt),
        (0..100).map(expected).collect::<Vec<_>>()
    );
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
fn closing_settles_what_was_taken() {
    let rig = rig(&settings());
    let first = rig.occupy();
    let second = rig.submit([numbered("k", 1)]).expect("room");
    let sink = rig.sink.clone();
    let closing =
        std::thread::spawn(move || rig.pipeline.close(Instant::now() + Duration::from_secs(10)));
    sink.release("events");
    assert_eq!(
        (outcomes(first), outcomes(second)),
        (vec![Outcome::Delivered], vec![Outcome::Delivered])
    );
    assert!(closing.join().expect("it does not panic"));
    assert_eq!(sink.log("events").writers, 0);
}

#[test]
fn a_topic_that_the_sink_refuses_is_not_started() {
    let sink = ScriptedSink::new();
    sink.refuse("events", Some(SinkError::permanent("no topic events")));
    let backend = Arc::new(Backend {
        name: "scripted",
        sink: Box::new(sink),
    });
    let observer: Arc<dyn Observer> = Arc::new(Observed::default());
    let error = Pipeline::start(&settings(), &backend, &observer)
        .err()
        .expect("it is refused");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (SinkErrorKind::Permanent, "no topic events")
    );
}
