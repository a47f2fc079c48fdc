//! The page of metrics: `promtool` accepts it, and `docs/metrics.md` lists every metric on it, the
//! sinks' statistics among them.

use std::collections::{BTreeMap, BTreeSet};

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::brokers::pubsub::PubSub;

use iem_test_support::{AMPLE, Authority, Gateway, Home, check_metrics, eventually};

const EVENTS: &str = "/publish/allevents/";
const RECORD: &str = r#"{"envcustomerid":"acme","entityid":"web-01"}"#;

/// Statistics that a dashboard may ask of Kafka and of Pub/Sub.
const COMMON: [&str; 5] = [
    "round_trip_seconds",
    "retries_total",
    "buffered_records",
    "buffered_bytes",
    "reconnects_total",
];

const DOCUMENTATION: &str = include_str!("../../../docs/metrics.md");

/// A gateway one of whose topics has a journal.
fn home() -> Home {
    Home::new().set("topics.services.durability", "journaled")
}

#[test]
fn metrics_with_the_file_sink() {
    let gateway = home().start();
    gateway.publish(EVENTS, RECORD).expect(200);
    assert!(gateway.metric("iem_gateway_file_written_bytes_total", &[]) > 0.0);
    check_page(&gateway, &["kafka", "pubsub"]);
}

#[test]
fn metrics_with_kafka() {
    let kafka = Kafka::shared();
    kafka.create_topic("statistics", 1, 1, &[]);
    let gateway = home()
        .events_at_kafka(&kafka.bootstrap(), "statistics")
        .start();
    kafka.delete_topic("statistics");
    eventually(AMPLE, "a topic that is gone is 503", || {
        gateway.publish(EVENTS, RECORD).status == 503
    });
    // Of any kind: while a topic is being deleted, brokers answer with several errors.
    eventually(AMPLE, "the error is counted", || {
        gateway.metric("iem_gateway_kafka_errors_total", &["kind="]) >= 1.0
    });
    // The client reports its statistics every five seconds.
    eventually(AMPLE, "a round trip is measured", || {
        gateway.metric("iem_gateway_kafka_round_trip_seconds", &[]) > 0.0
    });
    check_statistics(&gateway, "kafka");
    check_page(&gateway, &["pubsub"]);
}

#[test]
fn metrics_with_pubsub() {
    let pubsub = PubSub::shared();
    pubsub.create_topic("statistics");
    let gateway = home()
        .events_at_pubsub(&pubsub.endpoint(), "statistics")
        .start();
    gateway.publish(EVENTS, RECORD).expect(200);
    assert!(gateway.metric("iem_gateway_pubsub_round_trip_seconds", &[]) > 0.0);
    pubsub.delete_topic("statistics");
    gateway.publish(EVENTS, RECORD).expect(503);
    let not_found = ["kind=\"not_found\""];
    assert!(gateway.metric("iem_gateway_pubsub_errors_total", &not_found) >= 1.0);
    check_statistics(&gateway, "pubsub");
    check_page(&gateway, &["kafka"]);
}

#[test]
fn the_bounds_are_those_of_the_configuration() {
    let home = home()
        .set("server.max_connections", 1000)
        .set("topics.events.queue_records", 300)
        .set("topics.events.batch_records", 300)
        .set("journal.age", "2h");
    let gateway = home.start();
    for (name, topic, bound) in [
        ("connections_limit", "", 1000.0),
        // A third more than one customer may have.
        ("queue_limit_records", "events", 400.0),
        ("queue_limit_bytes", "events", 67_108_864.0),
        ("journal_limit_seconds", "services", 7200.0),
    ] {
        let value = gateway.metric(&format!("iem_gateway_{name}"), &[topic]);
        assert!((value - bound).abs() < 0.5, "{name}: {value}");
    }
}

#[test]
fn a_fault_in_a_file_shows_until_it_is_mended() {
    let gateway = Home::new().start();
    let value = |name: &str| gateway.metric(&format!("iem_gateway_{name}"), &[]);
    for (file, loaded) in [
        ("token.key", "token_keys_loaded"),
        ("directory.toml", "directory_loaded"),
    ] {
        let sound = std::fs::read(gateway.home.path(file)).expect("the file");
        assert!(value(loaded) > 0.5, "{file} is sound");
        gateway.home.write_secret(file, b"no such thing");
        gateway.reload();
        assert!(value(loaded) < 0.5, "{file} is at fault");
        if file == "directory.toml" {
            eventually(AMPLE, "it gets stale", || {
                value("directory_stale_seconds") > 1.5
            });
        }
        gateway.home.write_secret(file, &sound);
        gateway.reload();
        assert!(value(loaded) > 0.5, "{file} is sound again");
    }
    assert!(value("directory_stale_seconds") < 1.5);
}

#[test]
fn the_time_of_the_signing_key_shows_where_its_file_says_it() {
    let created = |home: Home| {
        home.start()
            .metric("iem_gateway_token_key_created_seconds", &[])
    };
    assert!(created(Home::new()) < 0.5, "a key alone");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970");
    let age = now.as_secs_f64() - created(Home::new().set("tokens.keys", "keys"));
    assert!(age.abs() < 60.0, "{age} s");
}

#[test]
fn the_end_of_the_lists_of_revoked_certificates_shows() {
    let authority = Authority::new("metrics");
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    home.write("crl.pem", authority.revoke(&[], 7));
    let home = home.set("server.tls.client_ca", "ca.pem");
    let expires =
        |gateway: &Gateway| gateway.metric("iem_gateway_tls_revocations_expire_seconds", &[]);
    assert!(expires(&home.start()) < 0.5, "without lists");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a time after 1970");
    let left = expires(&home.set("server.tls.client_crl", "crl.pem").start()) - now.as_secs_f64();
    let days = left / 86_400.0;
    assert!((days - 7.0).abs() < 0.1, "{days} days");
}

fn check_statistics(gateway: &Gateway, sink: &str) {
    let exported = exported(&gateway.admin("/metrics").text());
    for name in COMMON {
        let name = format!("iem_gateway_{sink}_{name}");
        assert!(exported.contains_key(&name), "{name} is not exported");
    }
}

/// Compares the page with the documentation, but for the metrics of sinks that are not in use, and
/// has `promtool` check it.
fn check_page(gateway: &Gateway, unused_sinks: &[&str]) {
    // A customer's first record gives its metric a series, and the file sink some traffic.
    gateway.publish("/publish/metrics/", RECORD).expect(200);
    let page = gateway.admin("/metrics").text();
    let mut documented = documented();
    for sink in unused_sinks {
        let prefix = format!("iem_gateway_{sink}_");
        documented.retain(|name, _| !name.starts_with(&prefix));
    }
    let exported = exported(&page);
    assert_eq!(exported, documented, "exported, and in docs/metrics.md");
    check_label_values(&page);
    check_metrics(&page);
}

/// A metric's type and the names of its labels.
type Shape = (String, BTreeSet<String>);

/// Returns the metrics that the documentation lists.
fn documented() -> BTreeMap<String, Shape> {
    DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `iem_gateway_") || line.starts_with("| `process_"))
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [_, name, kind, _unit, labels, _meaning, _] = cells[..] else {
                panic!("five columns: {row}")
            };
            let labels = labels
                .split_whitespace()
                .map(|label| label.replace('`', ""));
            (name.replace('`', ""), (kind.to_owned(), labels.collect()))
        })
        .collect()
}

/// Returns the metrics of a page.
fn exported(page: &str) -> BTreeMap<String, Shape> {
    let types = page.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), (kind.to_owned(), BTreeSet::new())))
    });
    let mut metrics: BTreeMap<String, Shape> = types.collect();
    for (series, label, _) in labels(page) {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| series.strip_suffix(suffix))
            .find(|family| metrics.contains_key(*family))
            .unwrap_or(series);
        // It belongs to the format of a histogram.
        if label != "le" {
            let (_, labels) = metrics.get_mut(family).expect("a metric with a type");
            labels.insert(label.to_owned());
        }
    }
    metrics
}

/// Returns the name of each series on a page with each of its labels and the label's value.
fn labels(page: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let series = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('{'));
    series.flat_map(|(name, rest)| {
        let (labels, _) = rest.rsplit_once('}').expect("the end of the labels");
        labels.split(',').map(move |pair| {
            let (label, value) = pair.split_once('=').expect("a label with a value");
            (name, label, value.trim_matches('"'))
        })
    })
}

/// Checks that the documentation names every value of the labels whose values are fixed.
fn check_label_values(page: &str) {
    for (series, label, value) in labels(page) {
        if ["endpoint", "kind", "outcome", "sink", "topic"].contains(&label) {
            assert!(
                DOCUMENTATION.contains(&format!("`{value}`")),
                "docs/metrics.md does not name {label}={value} of {series}"
            );
        }
    }
}
