//! A fleet as it is run: three gateways behind HAProxy, their directory in PostgreSQL, and a Kafka of
//! three brokers for the records.

use iem_test_support::brokers::kafka::{Kafka, Options};
use iem_test_support::{AMPLE, Home, Kind, OpenLoop, Protocol, eventually, read_kafka, test_ids};

use super::Site;
use crate::shared_directory;

const TOPIC: &str = "fleet";

/// Each gateway is restarted under load, one of them while the database is dead, and a broker dies
/// meanwhile. No request fails, and every record is at Kafka, behind those of its key whose answers
/// were there when it was sent.
#[test]
fn a_rolling_restart_costs_no_request_in_a_fleet_with_its_database_and_kafka() {
    let kafka = Kafka::start(&Options {
        brokers: 3,
        ..Options::default()
    });
    kafka.create_topic(TOPIC, 6, 3, &[("min.insync.replicas", "2")]);
    let mut database = shared_directory::database();
    let url = database.url();
    let mut site = Site::start(Kind::HaProxy, |home: Home| {
        home.events_at_kafka(&kafka.bootstrap(), TOPIC)
            .set("directory.type", "postgres")
            .set("directory.url", url.clone())
            .set("directory.snapshot", "snapshot.toml")
    });
    let loads = [(Protocol::Http1, "one"), (Protocol::Http2, "two")];
    let loads = loads.map(|(protocol, label)| site.load(protocol, 40, label, |request, _| request));
    let arrived = || read_kafka(&kafka, TOPIC);
    for gateway in 1..=3 {
        match gateway {
            2 => kafka.kill(1),
            3 => database.kill(),
            _ => {}
        }
        site.stop(gateway);
        site.start_again(gateway);
        match gateway {
            2 => kafka.restart(1),
            3 => database.start_again(),
            _ => {}
        }
        let before = arrived().len();
        eventually(AMPLE, "the load goes on", || arrived().len() > before + 100);
    }
    for calls in loads.map(OpenLoop::stop) {
        let failed = calls.with(|call| call.status != 200);
        assert!(failed.0.is_empty(), "{failed:?}\n{}", site.balancer.log());
        assert!(calls.0.len() > 100, "the load was a load");
        let arrived = arrived();
        calls.all_there(&test_ids(&arrived));
        calls.in_order_of_answers(&arrived);
    }
}
