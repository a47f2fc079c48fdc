//! Three brokers, two of which must have a record: one may go, two may not.

use iem_test_support::brokers::kafka::Options;

use super::*;

/// A gateway can wait for a new leader, and then loses nothing to the change; and it can be told
/// not to.
const PATIENT: Duration = Duration::from_secs(13);
const IMPATIENT: Duration = Duration::from_secs(3);

#[test]
fn one_of_three_brokers_may_go_and_two_may_not() {
    let kafka = Kafka::start(&Options {
        brokers: 3,
        ..Options::default()
    });
    kafka.create_topic("replicated", 3, 3, &[("min.insync.replicas", "2")]);
    let start = |deadline: Duration| {
        let home = home(&kafka, "replicated").set("topics.events.workers", 2);
        home.set("topics.events.deadline", format!("{}s", deadline.as_secs()))
            .start()
    };
    let (patient, impatient) = (start(PATIENT), start(IMPATIENT));
    let token = patient.token("alice");

    let load = Load::start(patient.address, &token, "patient", 12, 300);
    patient.await_answers(200, 100);
    kafka.kill(2);
    patient.await_answers(200, 500);
    let ledger = load.stop();
    assert_eq!(
        ledger.answers.keys().collect::<Vec<_>>(),
        [&200],
        "of three brokers one may go"
    );
    ledger.answered_within(PATIENT);
    let ids = test_ids(&read_kafka(&kafka, "replicated"));
    ledger.all_there(&ids);
    ledger.in_order(&ids);

    let impatient_token = impatient.token("alice");
    let load = Load::start(impatient.address, &impatient_token, "impatient", 12, 300);
    impatient.await_answers(200, 100);
    kafka.kill(1);
    impatient.await_answers(503, 24);
    eventually(AMPLE, "not ready", || {
        impatient.admin("/readyz?sinks").status == 503
    });
    kafka.start_again(1);
    kafka.restart(2);
    impatient.await_answers(200, 100);
    eventually(AMPLE, "ready again", || {
        impatient.admin("/readyz?sinks").status == 200
    });
    let ledger = load.stop();
    ledger.answered_within(IMPATIENT);
    let ids = test_ids(&read_kafka(&kafka, "replicated"));
    ledger.all_there(&ids);
    ledger.in_order(&ids);
}
