//! Faults of the emulator, with one oracle: calls return in time, delivered records are there, and
//! service returns by itself.

use std::sync::LazyLock;

use iem_sink::SinkErrorKind;
use parking_lot::{Mutex, MutexGuard};

use super::*;

const SHORT: Duration = Duration::from_secs(1);

/// Returns an emulator that a test may break, for one test at a time.
fn spare() -> MutexGuard<'static, PubSub> {
    static SPARE: LazyLock<Mutex<PubSub>> = LazyLock::new(|| Mutex::new(PubSub::start()));
    SPARE.lock()
}

/// Writes until all records are delivered, as the pipeline does.
fn deliver_in_the_end(writer: &mut BlockingWriter, records: &[Record]) {
    let end = Instant::now() + AMPLE;
    let mut left = records.to_vec();
    while !left.is_empty() {
        let (outcomes, result) = write(writer, &left, SHORT);
        let pairs = left.into_iter().zip(outcomes);
        left = pairs
            .filter(|(_, outcome)| *outcome == Outcome::Retryable)
            .map(|(record, _)| record)
            .collect();
        assert!(Instant::now() < end, "service returns: {result:?}");
    }
}

fn assert_all_there(messages: &[Message], records: &[Record]) {
    let counts = counts(messages);
    for id in ids(records) {
        assert!(counts.contains_key(&id), "a delivered record is lost: {id}");
    }
}

#[test]
fn service_returns_after_the_emulator_was_killed() {
    let pubsub = spare();
    let name = fresh_topic(&pubsub, "killed");
    let sink = open(&pubsub);
    let mut writer = writer(&sink, &name);
    let records = numbered(60, 3);
    deliver(&mut writer, &records[..20]);
    assert_once(&pubsub.read_all(&name), &records[..20]);

    pubsub.stop();
    let (outcomes, result) = write(&mut writer, &records[20..40], SHORT);
    assert_eq!(outcomes, vec![Outcome::Retryable; 20]);
    assert_eq!(result.unwrap_err().kind, SinkErrorKind::Transient);
    let error = sink.check(Instant::now() + SHORT).unwrap_err();
    assert!(error.message.contains(&pubsub.endpoint()), "{error}");

    pubsub.restart();
    let error = sink.check(Instant::now() + AMPLE).unwrap_err();
    assert!(
        error.message.contains(&name),
        "an emulator that was started again has no topics: {error}"
    );
    pubsub.create_topic(&name);
    assert_eq!(sink.check(Instant::now() + AMPLE), Ok(()));
    assert_eq!(
        pubsub.read_all(&name),
        [],
        "nothing is sent after the call has returned"
    );
    deliver_in_the_end(&mut writer, &records[20..]);
    assert_all_there(&pubsub.read_all(&name), &records[20..]);
}

#[test]
fn service_returns_after_the_emulator_hung_past_the_deadline() {
    let pubsub = spare();
    let name = fresh_topic(&pubsub, "hangs");
    for ordered in [false, true] {
        let sink = if ordered {
            open_ordered(&pubsub, &name)
        } else {
            open(&pubsub)
        };
        let mut writer = writer(&sink, &name);
        let records = numbered(2500, 20);
        deliver(&mut writer, &records[..1200]);

        pubsub.pause();
        let (outcomes, result) = write(&mut writer, &records[1200..], SHORT);
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Outcome::Retryable),
            "the emulator could not answer"
        );
        assert_eq!(result.unwrap_err().kind, SinkErrorKind::Transient);
        assert!(sink.check(Instant::now() + SHORT).is_err());
        pubsub.resume();

        deliver_in_the_end(&mut writer, &records[1200..]);
        assert_eq!(sink.check(Instant::now() + AMPLE), Ok(()));
        assert_all_there(&pubsub.read_all(&name), &records);
    }
}

#[test]
fn service_returns_after_a_topic_was_deleted_and_created_again() {
    let pubsub = PubSub::shared();
    let name = fresh_topic(pubsub, "deleted");
    let sink = open(pubsub);
    let mut writer = writer(&sink, &name);
    let records = numbered(40, 3);
    deliver(&mut writer, &records[..20]);
    assert_once(&pubsub.read_all(&name), &records[..20]);

    pubsub.delete_topic(&name);
    pubsub.delete_subscription(&name);
    let (outcomes, result) = write(&mut writer, &records[20..], AMPLE);
    assert_eq!(outcomes, vec![Outcome::Retryable; 20]);
    for error in [
        result.unwrap_err(),
        sink.check(Instant::now() + AMPLE).unwrap_err(),
    ] {
        assert_eq!(error.kind, SinkErrorKind::Permanent);
        assert!(
            error.message.contains(&format!("{name} does not exist")),
            "{error}"
        );
    }

    pubsub.create_topic(&name);
    deliver_in_the_end(&mut writer, &records[20..]);
    assert_eq!(sink.check(Instant::now() + AMPLE), Ok(()));
    assert_once(&pubsub.read_all(&name), &records[20..]);
}
