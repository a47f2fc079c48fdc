//! A gateway on Google's Pub/Sub emulator: order by key under concurrency, and the faults of a
//! backend. The emulator forgets its topics and messages when it is stopped, so what was
//! acknowledged is read before.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use iem_test_support::brokers::pubsub::PubSub;

use iem_test_support::{AMPLE, Gateway, Home, Load, eventually, read_pubsub, test_ids};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme","entityid":"web-01","test_id":"probe-0"}"#;

const DEADLINE: Duration = Duration::from_secs(2);

/// A gateway whose events go to this topic, with two workers and a short deadline.
fn start(pubsub: &PubSub, topic: &str, ordering: bool) -> Gateway {
    let home = Home::new().events_at_pubsub(&pubsub.endpoint(), topic);
    let home = home
        .set("topics.events.workers", 2)
        .set("topics.events.ordering", ordering);
    home.set("topics.events.deadline", "2s").start()
}

/// An emulator that faults may befall, a test at a time.
fn spare() -> MutexGuard<'static, PubSub> {
    static SPARE: LazyLock<Mutex<PubSub>> = LazyLock::new(|| Mutex::new(PubSub::start()));
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn many_connections_keep_the_order_by_key_and_each_record_is_there_once() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("order");
    let home = Home::new().events_at_pubsub(&pubsub.endpoint(), "order");
    let gateway = home
        .set("topics.events.workers", 4)
        .set("topics.events.ordering", true)
        .start();
    let load = Load::start(gateway.address, &gateway.token("alice"), "order", 32, 300);
    gateway.await_answers(200, 1500);
    let ledger = load.stop();
    let arrived = read_pubsub(pubsub, "order");
    assert!(
        arrived
            .iter()
            .all(|record| record.key == record.attributes["subject"]),
        "keys are sent"
    );
    ledger.check_without_fault(&test_ids(&arrived));
}

#[test]
fn without_ordering_no_key_is_sent_and_each_record_is_there_once() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("disorder");
    let gateway = start(pubsub, "disorder", false);
    let load = Load::start(
        gateway.address,
        &gateway.token("alice"),
        "disorder",
        32,
        300,
    );
    gateway.await_answers(200, 1000);
    let ledger = load.stop();
    let arrived = read_pubsub(pubsub, "disorder");
    assert!(
        arrived.iter().all(|record| record.key.is_empty()),
        "no keys are sent"
    );
    let ids = test_ids(&arrived);
    ledger.all_there(&ids);
    ledger.none_twice(&ids);
}

#[test]
fn an_emulator_that_hangs_past_the_deadline_loses_nothing() {
    let pubsub = spare();
    for ordering in [true, false] {
        let topic = format!("hang-{ordering}");
        pubsub.create_topic(&topic);
        let gateway = start(&pubsub, &topic, ordering);
        let load = Load::start(gateway.address, &gateway.token("alice"), "load", 16, 300);
        gateway.await_answers(200, 100);
        pubsub.pause();
        gateway.await_answers(503, 32);
        eventually(AMPLE, "not ready", || {
            gateway.admin("/readyz?sinks").status == 503
        });
        gateway.publish("/publish/metrics/", RECORD).expect(200);
        pubsub.resume();
        gateway.await_answers(200, 100);
        eventually(AMPLE, "ready again", || {
            gateway.admin("/readyz?sinks").status == 200
        });
        let ledger = load.stop();

        ledger.answered_within(DEADLINE);
        let ids = test_ids(&read_pubsub(&pubsub, &topic));
        ledger.all_there(&ids);
        if ordering {
            ledger.in_order(&ids);
        }
    }
}

#[test]
fn an_emulator_that_is_killed_and_started_again_is_used_again() {
    let pubsub = spare();
    pubsub.create_topic("killed");
    let gateway = start(&pubsub, "killed", false);
    let token = gateway.token("alice");
    let load = Load::start(gateway.address, &token, "before", 16, 300);
    gateway.await_answers(200, 200);
    let before = load.stop();
    before.all_there(&test_ids(&read_pubsub(&pubsub, "killed")));

    let load = Load::start(gateway.address, &token, "away", 16, 300);
    pubsub.stop();
    gateway.await_answers(503, 32);
    eventually(AMPLE, "readiness names the endpoint", || {
        let answer = gateway.admin("/readyz?sinks");
        answer.status == 503 && answer.text().contains(&pubsub.endpoint())
    });
    pubsub.restart();
    eventually(AMPLE, "readiness names the topic", || {
        gateway
            .admin("/readyz?sinks")
            .text()
            .contains("gcloud pubsub topics create killed")
    });
    load.stop().answered_within(DEADLINE);

    pubsub.create_topic("killed");
    eventually(AMPLE, "service returns", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    let load = Load::start(gateway.address, &token, "after", 16, 300);
    gateway.await_answers(200, 200);
    let after = load.stop();
    after.answered_within(DEADLINE);
    after.all_there(&test_ids(&read_pubsub(&pubsub, "killed")));
}

#[test]
fn a_topic_that_is_deleted_and_made_again_is_used_again() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("deleted");
    let gateway = start(pubsub, "deleted", false);
    gateway.publish(EVENTS, RECORD).expect(200);
    pubsub.delete_topic("deleted");
    gateway
        .publish(EVENTS, RECORD)
        .expect(503)
        .says_when_to_retry();
    eventually(AMPLE, "readiness names the topic", || {
        let answer = gateway.admin("/readyz?sinks");
        answer.status == 503
            && answer
                .text()
                .contains("gcloud pubsub topics create deleted")
    });
    gateway.publish("/publish/metrics/", RECORD).expect(200);

    pubsub.delete_subscription("deleted");
    pubsub.create_topic("deleted");
    eventually(AMPLE, "service returns with the topic", || {
        gateway.publish(EVENTS, RECORD).status == 200
    });
    eventually(AMPLE, "ready again", || {
        gateway.admin("/readyz?sinks").status == 200
    });
    assert!(!read_pubsub(pubsub, "deleted").is_empty());
}

#[test]
fn a_record_that_no_request_can_hold_is_413_and_others_pass() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("large");
    let home = Home::new().events_at_pubsub(&pubsub.endpoint(), "large");
    let gateway = home.set("server.max_body", "12 MiB").start();
    let large = format!(
        r#"{{"envcustomerid":"acme","a":"{}"}}"#,
        "x".repeat(10_000_000)
    );
    let answer = gateway.publish(EVENTS, large).expect(413);
    assert_eq!(
        answer.json()["rejected"],
        serde_json::json!([0]),
        "{answer:?}"
    );
    gateway.publish(EVENTS, RECORD).expect(200);
    assert_eq!(read_pubsub(pubsub, "large").len(), 1);
}
