//! Records that the sink will never take.

use std::fs;
use std::sync::Arc;

use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_sink::{Reason, SinkError};
use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::{Line, read_kafka, read_lines, test_ids};

use super::*;

/// Returns a home that keeps what the sink refuses of events, which have no journal.
fn keeping(home: Home) -> Home {
    home.set("topics.events.dead_letter", true)
}

fn letters(home: &Home) -> Vec<Line> {
    read_lines(&home.path("journal/dead-letters/events"))
}

fn kept(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_dead_lettered_total", &["events"])
}

fn lost(gateway: &Gateway) -> f64 {
    gateway.metric("iem_gateway_dead_letters_lost_total", &["events"])
}

/// Has the sink refuse the records of a topic whose text is this.
fn refuse(sink: &ScriptedSink, topic: &str, text: &'static str, reason: Reason) {
    let picks = move |record: &iem_sink::Record| {
        memchr::memmem::find(&record.data, text.as_bytes()).is_some()
    };
    sink.set(topic, Behaviour::Reject(Arc::new(picks), reason));
}

/// Kafka is away when they come, so nobody knows how large a record may be.
#[test]
fn a_record_that_kafka_will_never_take_is_kept_with_the_reason_and_others_pass() {
    let kafka = Kafka::shared();
    let small = [("max.message.bytes", "2000")];
    kafka.create_topic("dead-letters", 1, 1, &small);
    let home = journaled(Home::new().events_at_kafka(NOWHERE, "dead-letters"));
    let mut gateway = home.spawn();
    let text = large("large", 5_000);
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    gateway.publish(EVENTS, text.clone()).expect(200);
    gateway.publish(EVENTS, record("a", 1)).expect(200);
    gateway.kill();
    let home = home.set("sink.kafka.bootstrap_servers", kafka.bootstrap());
    let gateway = home.spawn();
    await_no_backlog(&gateway);
    assert_eq!(
        test_ids(&read_kafka(kafka, "dead-letters")),
        ["a-000000", "a-000001"]
    );
    let letters = letters(&home);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].data, text.as_bytes());
    let reason = letters[0].attribute("rejectionreason");
    assert!(reason.contains("2000 bytes"), "{reason}");
    assert!((kept(&gateway) - 1.0).abs() < 0.5 && lost(&gateway) < 0.5);
}

#[test]
fn what_kafka_refuses_of_a_topic_without_a_journal_is_413_and_kept() {
    let kafka = Kafka::shared();
    kafka.create_topic("refused-for-good", 1, 1, &[("max.message.bytes", "2000")]);
    let home = keeping(Home::new().events_at_kafka(&kafka.bootstrap(), "refused-for-good"));
    let mut gateway = home.spawn();
    let text = large("large", 5_000);
    gateway.publish(EVENTS, record("a", 0)).expect(200);
    let answer = gateway.publish(EVENTS, text.clone()).expect(413);
    assert_eq!(
        answer.message(),
        "The record is larger than the topic takes"
    );
    gateway.publish(EVENTS, record("a", 1)).expect(200);
    gateway.signal(Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.log());
    let letters = letters(&home);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].data, text.as_bytes());
    assert_eq!(letters[0].attribute("subject"), "acme/a");
    let reason = letters[0].attribute("rejectionreason");
    assert!(reason.contains("2000 bytes"), "{reason}");
    assert_eq!(
        test_ids(&read_kafka(kafka, "refused-for-good")),
        ["a-000000", "a-000001"]
    );
}

#[test]
fn only_what_the_sink_refuses_is_kept_and_only_of_topics_that_say_so() {
    let sink = ScriptedSink::new();
    for topic in ["events", "metrics"] {
        refuse(&sink, topic, "bad", Reason::Schema);
    }
    let home = keeping(Home::new());
    let gateway = home.start_with(&sink);
    let many = [record("good", 0), record("bad", 0), record("good", 1)];
    let answer = gateway
        .publish(EVENTS, format!("[{}]", many.join(",")))
        .expect(413);
    assert_eq!(answer.json()["rejected"], serde_json::json!([1]));
    assert_eq!(
        answer.message(),
        "The record does not fit the topic's schema"
    );
    let metric = r#"{"envcustomerid":"acme","entity":"bad"}"#;
    gateway.publish("/publish/metrics/", metric).expect(413);
    sink.set("events", Behaviour::Fail(SinkError::transient("away")));
    gateway.publish(EVENTS, record("bad", 1)).expect(503);
    eventually(AMPLE, "it is kept", || kept(&gateway) > 0.5);
    let letters = letters(&home);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].test_id(), "bad-000000");
    assert_eq!(
        letters[0].attribute("rejectionreason"),
        "not of the topic's schema"
    );
    assert!(!home.path("journal/dead-letters/metrics").exists());
    assert!((kept(&gateway) - 1.0).abs() < 0.5 && lost(&gateway) < 0.5);
    let rejected = gateway.metric("iem_gateway_records_total", &["events", "\"rejected\""]);
    assert!((rejected - 1.0).abs() < 0.5, "{rejected}");
}

#[test]
fn nothing_is_kept_unless_a_topic_says_so() {
    let sink = ScriptedSink::new();
    refuse(&sink, "events", "bad", Reason::Schema);
    let home = Home::new();
    let mut gateway = home.start_with(&sink);
    gateway.publish(EVENTS, record("bad", 0)).expect(413);
    gateway.stop();
    assert!(!home.path("journal").exists());
}

/// It has them in any case: `false` changes nothing.
#[test]
fn a_topic_with_a_journal_keeps_dead_letters_whatever_the_key_says() {
    for value in [true, false] {
        let sink = ScriptedSink::new();
        refuse(&sink, "events", "bad", Reason::Schema);
        let home = journaled(Home::new()).set("topics.events.dead_letter", value);
        let gateway = home.start_with(&sink);
        gateway.publish(EVENTS, record("bad", 0)).expect(200);
        await_no_backlog(&gateway);
        assert_eq!(letters(&home).len(), 1);
        assert!((kept(&gateway) - 1.0).abs() < 0.5);
    }
}

#[test]
fn beyond_their_bound_dead_letters_are_lost_until_some_are_removed() {
    let home = keeping(Home::new()).set("journal.dead_letter_bytes", "1 MiB");
    let kafka = Kafka::shared();
    kafka.create_topic("bounded", 1, 1, &[("max.message.bytes", "2000")]);
    let home = home.events_at_kafka(&kafka.bootstrap(), "bounded");
    let gateway = home.spawn();
    for number in 0..3 {
        let text = large(&format!("large-{number}"), 500_000);
        gateway.publish(EVENTS, text).expect(413);
    }
    eventually(AMPLE, "one is lost", || lost(&gateway) > 0.5);
    assert!((kept(&gateway) - 2.0).abs() < 0.5);
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("cannot keep records"));
    let line = line.expect("a line says so");
    assert!(
        line.contains("dead_letter_bytes") && line.contains("lost=1"),
        "{line}"
    );
    assert_eq!(letters(&home).len(), 2);

    for entry in fs::read_dir(home.path("journal/dead-letters/events")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "ndjson") {
            fs::remove_file(path).expect("a file");
        }
    }
    eventually(AMPLE, "there is room again", || {
        gateway.publish(EVENTS, large("later", 5_000)).expect(413);
        kept(&gateway) > 2.5
    });
    assert_eq!(letters(&home)[0].test_id(), "later");
}

/// The folder is in the way of whoever counts on it, not of the records.
#[test]
fn a_folder_that_cannot_be_written_costs_the_dead_letters_alone() {
    let sink = ScriptedSink::new();
    refuse(&sink, "events", "bad", Reason::Schema);
    let home = keeping(Home::new());
    let gateway = home.start_with(&sink);
    fs::remove_dir_all(home.path("journal/dead-letters/events")).expect("a folder");
    gateway.publish(EVENTS, record("bad", 0)).expect(413);
    eventually(AMPLE, "it is lost", || lost(&gateway) > 0.5);
    gateway.publish(EVENTS, record("good", 0)).expect(200);
    assert!(kept(&gateway) < 0.5);
}

#[test]
fn a_missing_volume_is_an_error_at_the_start_where_a_topic_keeps_dead_letters() {
    let home = keeping(Home::new()).set("journal.create", false);
    let run = home.run(&["serve"]);
    assert_eq!(run.status.code(), Some(78));
    let error = String::from_utf8_lossy(&run.stderr);
    assert!(error.contains("journal.path"), "{error}");
}

#[test]
fn check_knows_the_folder_and_the_memory() {
    let check = |home: Home| {
        let run = home.run(&["check", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
        let needs = report["needs"].as_array().expect("a list").iter();
        let mut folders = needs.filter(|need| {
            let what = need["what"].as_str().expect("a text");
            what.starts_with("dead letters ") && what.ends_with("journal/dead-letters")
        });
        let folder = folders.next().map(|need| need["level"].clone());
        let mut items = report["memory"]["items"].as_array().expect("a list").iter();
        let item = items.find(|item| item["name"] == "rejected records to be kept");
        (folder, item.expect("an item")["bytes"].as_u64())
    };
    assert_eq!(check(Home::new()), (None, Some(0)));
    let (folder, bytes) = check(keeping(Home::new()));
    assert_eq!(folder, Some("ok".into()));
    assert!(bytes > Some(16 << 20), "{bytes:?}");
    let (folder, _) = check(keeping(Home::new()).set("journal.create", false));
    assert_eq!(folder, Some("fault".into()));
}
