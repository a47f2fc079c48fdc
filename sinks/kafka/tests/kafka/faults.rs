//! Faults of one broker under load: it hangs, dies, or loses a topic.

use std::time::{Duration, Instant};

use iem_sink::Sink as _;
use iem_sink::testing::record;
use iem_sink::{Outcome, SinkErrorKind};

use crate::load::{survive, tally};
use crate::rig::{AMPLE, breakable, close, deliver, sink, write, writer};

const DEADLINE: Duration = Duration::from_secs(2);

fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn service_returns_after_a_broker_hung_past_the_deadline() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("hang", 2, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let runs = survive(kafka, &sink, "hang", DEADLINE, || {
        settle();
        kafka.pause(0);
        std::thread::sleep(DEADLINE * 3);
        let error = sink
            .check(Instant::now() + Duration::from_secs(1))
            .unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Transient);
        kafka.resume(0);
        settle();
    });
    let (delivered, lost) = tally(&runs);
    assert!(
        delivered > 0 && lost > 0,
        "{delivered} delivered, {lost} lost"
    );
    sink.check(Instant::now() + AMPLE).unwrap();
    close(sink);
}

#[test]
fn service_returns_after_a_broker_was_killed() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("kill", 2, 1, &[]);
    let sink = sink(&kafka.bootstrap(), DEADLINE, &[]);
    let runs = survive(kafka, &sink, "kill", DEADLINE, || {
        settle();
        kafka.kill(0);
        std::thread::sleep(DEADLINE + DEADLINE / 2);
        kafka.restart(0);
    });
    let (delivered, lost) = tally(&runs);
    assert!(
        delivered > 0 && lost > 0,
        "{delivered} delivered, {lost} lost"
    );
    close(sink);
}

/// The reason why records are still in flight is known before they time out.
#[test]
fn a_broker_that_is_away_is_the_obstacle_of_records_in_flight() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("away", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), Duration::from_secs(20), &[]);
    let mut writer = writer(&sink, "away");
    deliver(&mut writer, &[record("1001/a", "{}")]);
    let began = Instant::now();
    assert_eq!(writer.writer().obstacle(began), None);
    kafka.kill(0);
    let records = [record("1001/a", "{}")];
    let (outcomes, result) = write(&mut writer, &records, DEADLINE);
    assert_eq!(
        (outcomes, writer.in_flight()),
        (vec![Outcome::Retryable], 1)
    );
    let obstacle = writer.writer().obstacle(began).unwrap();
    assert_eq!(result.unwrap_err(), obstacle);
    assert_eq!(obstacle.kind, SinkErrorKind::Transient);
    assert!(obstacle.message.contains("refused"), "{obstacle}");
    kafka.restart(0);
    deliver(&mut writer, &records);
    drop(writer);
    close(sink);
    assert_eq!(kafka.read_all("away").len(), 2);
}

/// A pause within the deadline costs latency only: no record is lost or stored twice.
#[test]
fn a_pause_within_the_deadline_loses_no_record() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("moment", 1, 1, &[]);
    let deadline = Duration::from_secs(20);
    let sink = sink(&kafka.bootstrap(), deadline, &[]);
    let runs = survive(kafka, &sink, "moment", deadline, || {
        settle();
        kafka.pause(0);
        std::thread::sleep(Duration::from_secs(1));
        kafka.resume(0);
    });
    let (delivered, lost) = tally(&runs);
    assert_eq!(lost, 0);
    assert_eq!(kafka.read_all("moment").len(), delivered);
    close(sink);
}

/// Short calls into a broker that hangs, as the pipeline makes them when requests fall due one by
/// one. Each record is sent once.
#[test]
fn a_record_that_is_written_again_while_in_flight_is_stored_once() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("again", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap(), Duration::from_secs(20), &[]);
    let mut writer = writer(&sink, "again");
    deliver(&mut writer, &[record("1001/a", "{}")]);
    kafka.pause(0);
    let mut records: Vec<_> = (0..50)
        .map(|n| record("1001/a", format!(r#"{{"n":{n}}}"#)))
        .collect();
    for count in [10, 20, 30, 50] {
        let (outcomes, result) = write(&mut writer, &records[..count], Duration::from_millis(50));
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Retryable),
            "{result:?}"
        );
    }
    // The first ones are past their deadline, and are not written again.
    records.drain(..5);
    kafka.resume(0);
    deliver(&mut writer, &records);
    drop(writer);
    close(sink);
    let stored = kafka.read_all("again");
    assert_eq!(stored.len(), 51);
    let numbers: Vec<_> = stored[1..]
        .iter()
        .map(|message| String::from_utf8_lossy(&message.payload))
        .collect();
    assert_eq!(
        numbers,
        (0..50)
            .map(|n| format!(r#"{{"n":{n}}}"#))
            .collect::<Vec<_>>()
    );
}

#[test]
fn service_returns_after_a_topic_was_deleted_and_created_again() {
    let (kafka, _turn) = breakable();
    kafka.create_topic("deleted", 1, 1, &[]);
    let deadline = Duration::from_secs(15);
    let sink = sink(&kafka.bootstrap(), deadline, &[]);
    let mut writer = writer(&sink, "deleted");
    deliver(&mut writer, &[record("1001/a", "{}")]);
    kafka.delete_topic("deleted");
    let began = Instant::now();
    let error = loop {
        assert!(began.elapsed() < AMPLE, "a topic that is gone is noticed");
        let (outcomes, result) = write(&mut writer, &[record("1001/a", "{}")], deadline);
        assert_eq!(outcomes, [Outcome::Retryable]);
        // The first answer may come from a broker that is still deleting the topic.
        match result.unwrap_err() {
            error if error.kind == SinkErrorKind::Permanent => break error,
            _ => {}
        }
    };
    assert!(
        error.message.contains("--create --topic deleted"),
        "{error}"
    );
    let error = sink.check(Instant::now() + AMPLE).unwrap_err();
    assert!(
        error.kind == SinkErrorKind::Permanent && error.message.contains("deleted"),
        "{error}"
    );

    kafka.create_topic("deleted", 1, 1, &[]);
    let began = Instant::now();
    while write(&mut writer, &[record("1001/b", "{}")], deadline)
        .1
        .is_err()
    {
        assert!(began.elapsed() < AMPLE, "service returns with the topic");
        std::thread::sleep(Duration::from_millis(100));
    }
    sink.check(Instant::now() + AMPLE).unwrap();
    drop(writer);
    close(sink);
    assert!(
        kafka
            .read_all("deleted")
            .iter()
            .any(|message| message.key.as_deref() == Some(b"1001/b"))
    );
}
