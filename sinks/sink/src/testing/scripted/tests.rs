//! Tests of the scripted sink.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::Outcome::{Delivered, Rejected, Retryable};
use crate::Reason;
use crate::testing::blocking::BlockingWriter;
use crate::testing::sample::{record, topic};

fn write(
    writer: &mut BlockingWriter,
    records: &[Record],
    deadline: Duration,
) -> (Vec<Outcome>, bool) {
    let mut outcomes = vec![Outcome::default(); records.len()];
    let result = writer.write(records, &mut outcomes, Instant::now() + deadline);
    (outcomes, result.is_ok())
}

const LONG: Duration = Duration::from_mins(1);

#[test]
fn behaviours_for_one_call_come_before_the_standing_one() {
    let sink = ScriptedSink::new();
    let mut writer = BlockingWriter::open(&sink, &topic("t")).unwrap();
    let records = [record("a", "{}"), record("b", "{}")];
    let picks: Predicate = Arc::new(|record| &*record.key == "b");
    let error = SinkError::permanent("no");
    let reason = Reason::TooLarge { limit: 1 };
    sink.once("t", Behaviour::Fail(error.clone()));
    sink.once("t", Behaviour::FailSome(picks.clone(), error));
    sink.once("t", Behaviour::Reject(picks, reason));
    sink.once(
        "t",
        Behaviour::Mark(
            Arc::new(|record| match &*record.key {
                "a" => Delivered,
                _ => Retryable,
            }),
            SinkError::transient("later"),
        ),
    );
    sink.once("t", Behaviour::Delay(Duration::ZERO));

    let expected = [
        ([Retryable, Retryable], false),
        ([Delivered, Retryable], false),
        ([Delivered, Rejected(reason)], true),
        ([Delivered, Retryable], false),
        ([Delivered, Delivered], true),
        ([Delivered, Delivered], true),
    ];
    for (outcomes, fine) in expected {
        assert_eq!(
            write(&mut writer, &records, LONG),
            (outcomes.to_vec(), fine)
        );
    }
    assert_eq!(
        format!("{:?}", sink.log("t")),
        "7 delivered, 0 waiting, 1 writers, batches of [2, 2, 2, 2, 2, 2]"
    );
    drop(writer);
    assert_eq!(sink.log("t").writers, 0);
}

#[test]
fn a_stall_ends_with_the_deadline_or_with_a_release() {
    let sink = ScriptedSink::new();
    let mut writer = BlockingWriter::open(&sink, &topic("t")).unwrap();
    let records = [record("a", "{}")];
    sink.set("t", Behaviour::Stall);
    assert_eq!(
        write(&mut writer, &records, Duration::ZERO),
        (vec![Outcome::Retryable], false)
    );
    assert_eq!(sink.log("t").waiting, 0);

    let call = std::thread::spawn(move || write(&mut writer, &records, LONG));
    assert_eq!(
        sink.wait_for("t", |log| log.waiting == 1).delivered.len(),
        0
    );
    sink.release("t");
    assert_eq!(call.join().unwrap(), (vec![Outcome::Delivered], true));
}

#[test]
fn a_stall_past_the_deadline_delivers_late() {
    let sink = ScriptedSink::new();
    let mut writer = BlockingWriter::open(&sink, &topic("t")).unwrap();
    sink.set("t", Behaviour::StallPastDeadline);
    let call = std::thread::spawn(move || write(&mut writer, &[record("a", "{}")], Duration::ZERO));
    sink.wait_for("t", |log| log.waiting == 1);
    sink.set("t", Behaviour::Deliver);
    assert_eq!(call.join().unwrap(), (vec![Outcome::Delivered], true));
}

#[test]
fn a_panic_leaves_the_other_handles_working() {
    let sink = ScriptedSink::new();
    let mut writer = BlockingWriter::open(&sink, &topic("t")).unwrap();
    sink.once("t", Behaviour::Panic);
    let call = std::thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            write(&mut writer, &[record("a", "{}")], LONG)
        }));
        (
            result.is_err(),
            write(&mut writer, &[record("a", "{}")], LONG).1,
        )
    });
    assert_eq!(call.join().unwrap(), (true, true));
    assert_eq!(sink.log("t").delivered.len(), 1);
}

#[test]
fn writers_and_checks_fail_as_set() {
    let sink = ScriptedSink::new();
    let error = SinkError::permanent("topic t is missing");
    sink.refuse("t", Some(error.clone()));
    assert_eq!(
        BlockingWriter::open(&sink, &topic("t")).err(),
        Some(error.clone())
    );
    assert_eq!(sink.log("t").writers, 0);
    sink.refuse("t", None);
    assert!(BlockingWriter::open(&sink, &topic("t")).is_ok());

    sink.set_check(Some(error.clone()));
    assert_eq!(sink.check(Instant::now()), Err(error));
    sink.set_check(None);
    assert_eq!(sink.check(Instant::now()), Ok(()));
    Box::new(sink.clone()).close(Instant::now()).unwrap();
    assert_eq!(sink.closed(), 1);
}
