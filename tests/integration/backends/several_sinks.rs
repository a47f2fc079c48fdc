//! Different sinks for different topics in one gateway, and an outage of one of them.

use iem_test_support::brokers::pubsub::PubSub;

use crate::backends::kafka::faults::spare;
use iem_test_support::{AMPLE, Home, Load, eventually, post, read_kafka, read_pubsub, test_ids};

const TICKETS: &str = "/gbp/push/acme?integrationid=servicenow-1";
const METRIC: &str = r#"{"envcustomerid":"acme","entity":"e"}"#;

/// Tickets go to Kafka, events to Pub/Sub, all else to files. Kafka hangs: tickets alone are
/// refused.
#[test]
fn an_outage_of_one_sink_leaves_the_topics_of_the_others_alone() {
    let ((kafka, _turn), pubsub) = (spare(), PubSub::shared());
    kafka.create_topic("several-tickets", 1, 1, &[]);
    pubsub.create_topic("several-events");
    let gateway = Home::new()
        .with_backends(kafka, pubsub)
        .topic_at("tickets", "kafka", "several-tickets")
        .topic_at("events", "pubsub", "several-events")
        .set("topics.tickets.deadline", "1s")
        .start();
    let token = gateway.token("alice");
    let ticket = |state: u32| {
        gateway.send(&post(TICKETS, format!(r#"{{"state":{state},"sysid":"t"}}"#)).cookie(&token))
    };
    ticket(1).expect(200);
    gateway.publish("/publish/metrics/", METRIC).expect(200);

    let load = Load::start(gateway.address, &token, "event", 8, 100);
    kafka.pause(0);
    ticket(2).expect(503).says_when_to_retry();
    eventually(AMPLE, "not ready", || {
        gateway.admin("/readyz?sinks").status == 503
    });
    let reasons = gateway.admin("/readyz?sinks").json()["reasons"]
        .as_array()
        .expect("reasons")
        .clone();
    assert!(
        !reasons.is_empty() && reasons.iter().all(is_of_tickets),
        "{reasons:?}"
    );
    gateway.await_answers(200, 200);
    gateway.publish("/publish/metrics/", METRIC).expect(200);
    kafka.resume(0);
    eventually(AMPLE, "tickets again", || ticket(3).status == 200);
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });

    let ledger = load.stop();
    assert_eq!(
        ledger.answers.keys().collect::<Vec<_>>(),
        [&200],
        "events do not notice"
    );
    ledger.all_there(&test_ids(&read_pubsub(pubsub, "several-events")));
    assert_eq!(gateway.home.records("metrics").len(), 2);
    let tickets = read_kafka(kafka, "several-tickets");
    assert!(
        tickets
            .iter()
            .any(|ticket| ticket.data == br#"{"state":3,"sysid":"t"}"#),
        "{tickets:?}"
    );
    assert!(
        tickets
            .iter()
            .all(|ticket| ticket.attributes["type"] == "iem.ticket")
    );
}

/// Whether a reason of not being ready is the outage of the tickets' sink.
fn is_of_tickets(reason: &serde_json::Value) -> bool {
    let reason = reason.as_str();
    reason.is_some_and(|reason| reason.starts_with("topic tickets at sink kafka: "))
}
