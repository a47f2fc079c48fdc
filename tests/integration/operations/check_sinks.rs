//! `check` looks at the backends before the first record does: what is there, what is missing and
//! what makes it; and never shows a secret.

use std::process::{Command, Output};

use iem_test_support::brokers::kafka::{Kafka, PASSWORD, POWERLESS, USER};
use iem_test_support::brokers::pubsub::{PROJECT, PubSub};
use serde_json::Value;

use iem_test_support::Home;

/// The variable that names a file with a password, beside the configuration.
const PASSWORD_FILE: &str = "IEM_GATEWAY_FILE__SINK__KAFKA__PROPERTIES__SASL_PASSWORD";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// Runs `check`, and expects its exit code and these words in its text.
#[track_caller]
fn check(home: &Home, code: i32, words: &[&str]) -> String {
    expect(&home.run(&["check"]), code, words)
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) -> String {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "does not say {word}:\n{said}");
    }
    said
}

/// Returns what `check --json` found at one of the things it looked at.
fn findings(home: &Home, what: &str) -> Vec<(String, String)> {
    let report: Value =
        serde_json::from_slice(&home.run(&["check", "--json"]).stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let needs = report["needs"].as_array().expect("findings").iter();
    needs
        .filter(|need| need["what"] == what)
        .map(|need| (text(&need["level"]), text(&need["found"])))
        .collect()
}

#[test]
fn check_tells_present_kafka_topics_from_a_missing_one() {
    let kafka = Kafka::shared();
    kafka.create_topic("checked", 2, 1, &[("max.message.bytes", "50000")]);
    let home = Home::new().events_at_kafka(&kafka.bootstrap(), "checked");
    check(
        &home,
        0,
        &[
            "ok     Kafka topic checked: 2 partitions",
            "up to 50000 bytes",
            "may be written",
        ],
    );
    let found = findings(&home, "Kafka topic checked");
    assert!(found.iter().all(|(level, _)| level != "fault"), "{found:?}");
    assert!(
        found
            .iter()
            .any(|(level, text)| level == "ok" && text.contains("up to 50000 bytes")),
        "{found:?}"
    );
    assert_eq!(kafka.read_all("checked"), [], "looking writes nothing");

    let home = home.topic_at("events", "kafka", "missing");
    check(
        &home,
        78,
        &[
            "FAULT  Kafka topic missing: ",
            "kafka-topics.sh",
            "--create --topic missing",
        ],
    );
    let found = findings(&home, "Kafka topic missing");
    assert!(
        matches!(&found[..], [(level, _)] if level == "fault"),
        "{found:?}"
    );
    expect(
        &home.run(&["serve"]),
        78,
        &["topics.events", "--create --topic missing"],
    );
}

#[test]
fn check_tells_that_no_broker_can_be_reached() {
    let home = Home::new().events_at_kafka("127.0.0.1:1", "events");
    check(&home, 78, &["FAULT", "127.0.0.1:1", "refused"]);
}

#[test]
fn check_rejects_properties_that_are_unknown_wrong_or_reserved() {
    let home = || Home::new().events_at_kafka("127.0.0.1:1", "events");
    for (name, value, words) in [
        ("securty.protocol", "SSL", "No such configuration property"),
        ("security.protocol", "SASSL", "Invalid value"),
        (
            "acks",
            "1",
            "acknowledged once all in-sync replicas have it",
        ),
        ("message.timeout.ms", "1", "`deadline`"),
    ] {
        let home = home().kafka_property(name, value);
        check(&home, 78, &[name, words]);
        expect(&home.run(&["serve"]), 78, &[name, words]);
    }
}

/// The program with a password in a file of its own.
fn with_password(home: &Home, password: &str, command: &str) -> Command {
    home.write_secret("kafka-password", password.as_bytes());
    let mut program = home.program();
    program
        .env(PASSWORD_FILE, home.path("kafka-password"))
        .arg(command);
    program
}

fn home_with_user(kafka: &Kafka, user: &str, topic: &str) -> Home {
    Home::new()
        .events_at_kafka(&kafka.bootstrap_sasl(), topic)
        .kafka_property("security.protocol", "SASL_PLAINTEXT")
        .kafka_property("sasl.mechanism", "PLAIN")
        .kafka_property("sasl.username", user)
}

#[test]
fn a_password_from_a_file_is_used_and_never_shown() {
    let kafka = Kafka::shared();
    kafka.create_topic("with-password", 1, 1, &[]);
    let home = home_with_user(kafka, USER, "with-password");
    let check = |password: &str| {
        let mut program = with_password(&home, password, "check");
        program
            .arg("--config")
            .arg(home.config())
            .output()
            .expect("the program runs")
    };
    let output = check(&format!("{PASSWORD}\n"));
    let text = expect(
        &output,
        0,
        &[
            "sink.kafka.properties.sasl.password",
            PASSWORD_FILE,
            "may be written",
        ],
    );
    assert!(
        !text.contains(PASSWORD) && !text.contains("SASL_PLAINTEXT"),
        "no property's value: {text}"
    );

    let text = expect(
        &check("hunter2\n"),
        78,
        &["FAULT", "refuse the login", "sasl.password"],
    );
    assert!(!text.contains("hunter2"), "{text}");

    let home = home.clone().set("logging.level", "trace");
    let gateway = home.spawn_by(with_password(&home, PASSWORD, "serve"));
    gateway
        .publish("/publish/allevents/", r#"{"envcustomerid":"acme"}"#)
        .expect(200);
    assert!(
        !gateway.log().contains(PASSWORD),
        "not even at the lowest level:\n{}",
        gateway.log()
    );
    assert_eq!(kafka.read_all("with-password").len(), 1);
}

#[test]
fn check_tells_that_the_user_may_not_write_the_topic() {
    let kafka = Kafka::shared();
    kafka.create_topic("forbidden", 1, 1, &[]);
    let home =
        home_with_user(kafka, POWERLESS, "forbidden").kafka_property("sasl.password", PASSWORD);
    check(
        &home,
        78,
        &["FAULT  Kafka topic forbidden: ", "kafka-acls.sh"],
    );
}

#[test]
fn check_tells_a_present_pubsub_topic_from_a_missing_one() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("checked");
    let home = Home::new().events_at_pubsub(&pubsub.endpoint(), "checked");
    check(
        &home,
        0,
        &["ok     Pub/Sub topic checked: may be published to"],
    );
    let home = home.topic_at("events", "pubsub", "missing");
    let command = format!("gcloud pubsub topics create missing --project={PROJECT}");
    check(&home, 78, &["FAULT  Pub/Sub topic missing: ", &command]);
    let found = findings(&home, "Pub/Sub topic missing");
    assert!(
        matches!(&found[..], [(level, text)] if level == "fault" && text.contains(&command)),
        "{found:?}"
    );
    expect(&home.run(&["serve"]), 78, &["topics.events", &command]);
}
