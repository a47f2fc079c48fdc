//! Runs against a real Apache Kafka.

use iem_test_support::Home;
use iem_test_support::brokers::kafka::Kafka;
use serde_json::Value;

use super::{as_alice, assert_clean, prove, refused, url};

fn home(kafka: &Kafka, topic: &str) -> Home {
    Home::new().events_at_kafka(&kafka.bootstrap(), topic)
}

#[test]
fn a_whole_run_loses_nothing_and_is_0() {
    let kafka = Kafka::shared();
    kafka.create_topic("proven", 3, 1, &[]);
    let home = home(kafka, "proven").set("topics.events.workers", 2);
    let gateway = home.start();
    let url = url(gateway.address);
    for name in ["first", "second"] {
        let run = [
            "--rate",
            "200",
            "--duration",
            "2s",
            "--records",
            "5",
            "--acknowledged",
            name,
        ];
        assert_clean(&prove(&home, &as_alice(&home, &url, &run), 0), 2000);
    }
    // Its records are followed by those of the second run.
    let again = ["--only-read", "--acknowledged", "first"];
    assert_clean(&prove(&home, &again, 0), 2000);
}

#[test]
fn records_that_are_removed_are_not_taken_for_lost_ones() {
    let kafka = Kafka::shared();
    kafka.create_topic("removed", 1, 1, &[]);
    let home = home(kafka, "removed");
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "50", "--duration", "1s", "--acknowledged", "safe"];
    assert_clean(&prove(&home, &as_alice(&home, &url, &run), 0), 50);
    drop(gateway);
    let again = ["--only-read", "--acknowledged", "safe", "--wait", "5s"];
    kafka.delete_topic("removed");
    refused(
        &home,
        &again,
        1,
        &["cannot be read", "removed does not exist"],
    );
    kafka.create_topic("removed", 1, 1, &[]);
    let report = prove_anyhow(&home, &again);
    assert_ne!(report["proven"], true, "{report:#}");
}

/// Runs where there is a report or an error, and never a success.
fn prove_anyhow(home: &Home, arguments: &[&str]) -> Value {
    let output = home.run(&[&["prove", "--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[test]
fn a_cluster_that_is_away_is_an_error_before_anything_is_sent() {
    let kafka = Kafka::shared();
    kafka.create_topic("here", 1, 1, &[]);
    let home = home(kafka, "here");
    let gateway = home.start();
    let url = url(gateway.address);
    let home = home.events_at_kafka("127.0.0.1:1", "here");
    let run = ["--rate", "50", "--duration", "1s", "--acknowledged", "safe"];
    let words = ["the sink cannot be read", "topic here cannot be read"];
    refused(&home, &as_alice(&home, &url, &run), 1, &words);
    assert!(!home.path("safe").exists(), "nothing was sent");
}
