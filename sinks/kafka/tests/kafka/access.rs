//! Logins that are refused, and those that may not write.

use std::time::{Duration, Instant};

use iem_sink::testing::{record, topic};
use iem_sink::{Level, Outcome, Sink as _, SinkErrorKind};
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
    deliver(&mut *writer(&sink, "login"), &[record("1001/a", "{}")]);
    close(sink);
    assert_eq!(kafka.read_all("login").len(), 1);
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let kafka = Kafka::shared();
    let sink = sink(&kafka.bootstrap_sasl(), DEADLINE, &login(USER, "hunter2"));
    let error = sink.writer(&topic("login")).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    assert!(error.message.contains("refuse the login"), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[test]
fn who_may_not_use_a_topic_is_told_so() {
    let kafka = Kafka::shared();
    kafka.create_topic("forbidden", 1, 1, &[]);
    let sink = sink(
        &kafka.bootstrap_sasl(),
        DEADLINE,
        &login(POWERLESS, PASSWORD),
    );
    let error = sink.writer(&topic("forbidden")).err().unwrap();
    assert_eq!(error.kind, SinkErrorKind::Permanent, "{error}");
    assert!(
        error.message.contains("forbidden") && error.message.contains("kafka-acls.sh"),
        "{error}"
    );
    close(sink);
}

/// Rights that are taken away while the gateway runs: the write says so at once, and service
/// returns with them.
#[test]
fn rights_come_and_go() {
    let kafka = Kafka::shared();
    kafka.create_topic("rights", 1, 1, &[]);
    let user = format!("User:{POWERLESS}");
    let acl = |change: &[&str], operations: &[&str]| {
        let mut arguments = change.to_vec();
        arguments.extend(["--allow-principal", &user, "--topic", "rights"]);
        arguments.extend(
            operations
                .iter()
                .flat_map(|operation| ["--operation", operation]),
        );
        kafka.run_tool("org.apache.kafka.tools.AclCommand", &arguments);
    };
    acl(&["--add"], &["Describe", "DescribeConfigs", "Write"]);
    let sink = sink(
        &kafka.bootstrap_sasl(),
        DEADLINE,
        &login(POWERLESS, PASSWORD),
    );
    let mut writer = writer(&sink, "rights");
    deliver(&mut *writer, &[record("1001/a", "{}")]);

    acl(&["--remove", "--force"], &["Write"]);
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

    acl(&["--add"], &["Write"]);
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
