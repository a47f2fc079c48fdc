//! Logins that the brokers refuse, at start and later.

use iem_test_support::brokers::kafka::{PASSWORD, USER};

use super::faults::spare;
use super::*;

/// A gateway that logs in at these brokers.
fn home_with_login(bootstrap: &str, topic: &str, mechanism: &str, password: &str) -> Home {
    Home::new()
        .events_at_kafka(bootstrap, topic)
        .kafka_property("security.protocol", "SASL_PLAINTEXT")
        .kafka_property("sasl.mechanism", mechanism)
        .kafka_property("sasl.username", USER)
        .kafka_property("sasl.password", password)
}

#[test]
fn with_a_wrong_password_the_gateway_does_not_start_and_says_why() {
    let kafka = Kafka::shared();
    kafka.create_topic("locked", 1, 1, &[]);
    let home = home_with_login(&kafka.bootstrap_sasl(), "locked", "PLAIN", "hunter2");
    let output = home.run(&["serve"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    for words in ["refuse the login", "sasl.username", "sasl.password"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

/// The password is changed at the brokers, which ask for it again every second; then changed back.
#[test]
fn a_password_rejected_while_running_is_503_until_it_is_accepted() {
    let (kafka, _turn) = spare();
    kafka.create_topic("relocked", 1, 1, &[]);
    let gateway = home_with_login(
        &kafka.bootstrap_sasl(),
        "relocked",
        "SCRAM-SHA-256",
        PASSWORD,
    )
    .set("topics.events.deadline", "3s")
    .start();
    gateway.publish(EVENTS, RECORD).expect(200);

    kafka.set_password(USER, "another one");
    eventually(AMPLE, "refused", || {
        let answer = gateway.publish(EVENTS, RECORD);
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.status == 503
    });
    eventually(AMPLE, "readiness says why", || {
        gateway
            .admin("/readyz?sinks")
            .text()
            .contains("the brokers refuse the login")
    });

    kafka.set_password(USER, PASSWORD);
    eventually(AMPLE, "service returns with the password", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
}
