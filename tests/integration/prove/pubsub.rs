//! Runs against Google's Pub/Sub emulator.

use iem_test_support::Home;
use iem_test_support::brokers::pubsub::PubSub;

use super::{as_alice, assert_clean, prove, refused, url};

#[test]
fn a_whole_run_loses_nothing_and_its_subscription_is_read_once() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("proven");
    let home = Home::new()
        .events_at_pubsub(&pubsub.endpoint(), "proven")
        .set("topics.events.ordering", true);
    let gateway = home.start();
    let url = url(gateway.address);
    let run = [
        "--rate",
        "100",
        "--duration",
        "2s",
        "--acknowledged",
        "safe",
    ];
    let run = [&run[..], &["--subscription", "proven"]].concat();
    assert_clean(&prove(&home, &as_alice(&home, &url, &run), 0), 200);

    let again = [
        "--only-read",
        "--acknowledged",
        "safe",
        "--subscription",
        "proven",
    ];
    refused(&home, &again, 1, &["were read before"]);
}

#[test]
fn a_subscription_is_named_there_and_one_of_the_topic() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("subscribed");
    pubsub.create_topic("another");
    let home = Home::new().events_at_pubsub(&pubsub.endpoint(), "subscribed");
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "50", "--duration", "1s"];
    let with =
        |subscription: &[&'static str]| as_alice(&home, &url, &[&run[..], subscription].concat());
    refused(&home, &with(&[]), 2, &["--subscription", "Pub/Sub"]);
    let create = "gcloud pubsub subscriptions create none --topic=subscribed --project=iem-test";
    refused(&home, &with(&["--subscription", "none"]), 1, &[create]);
    let other = "is one of projects/iem-test/topics/another";
    refused(&home, &with(&["--subscription", "another"]), 1, &[other]);
}
