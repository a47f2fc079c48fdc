//! Refused logins, and users that may not write.

use std::time::{Duration, Instant};

use iem_sink::testing::{BlockingWriter, record, topic};
use iem_sink::{Level, Outcome, SinkErrorKind};
use iem_test_support::brokers::kafka::{Kafka, PASSWORD, POWERLESS, USER};

use crate::rig::{AMPLE, close, deliver, sink, writer};

const DEADLINE: Duration = Duration::from_secs(8);

fn login<'a>(user: &'a str, password: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", user),
        ("sasl.password", password),
    ]
}

#[test]
fn the_right_password_delivers() {
    let kafka = Kafka::shared();
    kafka.create_topic("login", 1, 1, &[]);
    let sink = sink(&kafka.bootstrap_sasl(), DEADLINE, &login(USER, PASSWORD));
    deliver(&mut writer(&sink, "login"), &[record("1001/a", "{}")]);
    close(sink);
    assert_eq!(kafka.read_all("login").len(), 1);
}

#[test]
fn a_wrong_password_is_named_and_not_shown() {
    let kafka = Kafka::shared();
    let sink = sink(&kafka.bootstrap_sasl(), DEADLINE, &login(USER, "hunter2"));
    let error = BlockingWriter::open(&sink, &topic("login")).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    assert!(error.message.contains("refuse the login"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[test]
fn a_forbidden_topic_is_named_with_the_command_that_allows_it() {
    let kafka = Kafka::shared();
    kafka.create_topic("forbidden", 1, 1, &[]);
    let sink = sink(
        &kafka.bootstrap_sasl(),
        DEADLINE,
        &login(POWERLESS, PASSWORD),
    );
    let error = BlockingWriter::open(&sink, &topic("forbidden"))
        .err()
        .unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    assert!(
        error.message.contains("forbidden") && error.message.contains("kafka-acls.sh"),
        "{error}"
    );
    close(sink);
}

/// Changes the powerless user's rights on the topic `rights`.
fn acl(kafka: &Kafka, change: &[&str], operations: &[&str]) {
    let user = format!("User:{POWERLESS}");
    let mut arguments = change.to_vec();
    arguments.extend(["--allow-principal", &user, "--topic", "rights"]);
    arguments.extend(
        operations
            .iter()
            .flat_map(|operation| ["--operation", operation]),
    );
    kafka.run_tool("org.apache.kafka.tools.AclCommand", &arguments);
}

/// Rights that are removed while the gateway runs: a write fails at once, and service returns with
/// the rights.
#[test]
fn service_ends_and_returns_with_the_right_to_write() {
    let kafka = Kafka::shared();
    kafka.create_topic("rights", 1, 1, &[]);
    acl(kafka, &["--add"], &["Describe", "DescribeConfigs", "Write"]);
    let sink = sink(
        &kafka.bootstrap_sasl(),
        DEADLINE,
        &login(POWERLESS, PASSWORD),
    );
    let mut writer = writer(&sink, "rights");
    deliver(&mut writer, &[record("1001/a", "{}")]);

    acl(kafka, &["--remove", "--force"], &["Write"]);
    let began = Instant::now();
    let refused = loop {
        let mut outcomes = [Outcome::default()];
        let result = writer.write(
            &[record("1001/a", "{}")],
            &mut outcomes,
            Instant::now() + DEADLINE,
        );
        if let Err(error) = result {
            break error;
        }
        assert!(began.elapsed() < AMPLE, "a right that is gone is noticed");
    };
    assert_eq!(refused.kind, SinkErrorKind::Permanent);
    assert!(refused.message.contains("kafka-acls.sh"), "{refused}");
    let findings = sink.inspect(&[topic("rights")], Instant::now() + AMPLE);
    assert!(
        findings
            .iter()
            .any(|one| one.level == Level::Bad && one.text.contains("kafka-acls.sh")),
        "{findings:?}"
    );

    acl(kafka, &["--add"], &["Write"]);
    let began = Instant::now();
    loop {
        let mut outcomes = [Outcome::default()];
        let result = writer.write(
            &[record("1001/a", "{}")],
            &mut outcomes,
            Instant::now() + DEADLINE,
        );
        if result.is_ok() {
            break;
        }
        assert!(
            began.elapsed() < AMPLE,
            "a right that is back is noticed: {result:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(writer);
    close(sink);
}
