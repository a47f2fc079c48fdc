//! A real Prometheus scrapes real gateways under load: every rule is evaluated without an error,
//! every panel of the dashboard has data, and the break of a sink makes its alerts' expressions
//! true until it is over.

use std::collections::BTreeSet;

use iem_test_support::brokers::kafka::Kafka;
use iem_test_support::brokers::pubsub::PubSub;
use iem_test_support::{AMPLE, Authority, Gateway, Home, Prometheus, eventually};
use serde_json::Value;

const DASHBOARD: &str = include_str!("../../../deploy/grafana/iem-gateway.json");
const EVENTS: &str = "/publish/allevents/";
const SERVICES: &str = "/publish/service/";
const RECORD: &str = r#"{"envcustomerid":"acme","entityid":"web-01"}"#;

/// Values of the dashboard's variables, as Grafana puts them in.
const VARIABLES: [(&str, &str); 4] = [
    ("$__rate_interval", "1m"),
    ("$__range", "5m"),
    ("$instance", ".*"),
    ("$topic", ".*"),
];

/// A gateway with all sinks, one topic with a journal, and one that keeps dead letters.
fn gateway(kafka: &Kafka, pubsub: &PubSub) -> Gateway {
    kafka.create_topic("watched-events", 1, 1, &[("max.message.bytes", "2000")]);
    kafka.create_topic("watched-services", 1, 1, &[]);
    pubsub.create_topic("watched-metrics");
    Home::new()
        .with_backends(kafka, pubsub)
        .topic_at("events", "kafka", "watched-events")
        .topic_at("services", "kafka", "watched-services")
        .topic_at("metrics", "pubsub", "watched-metrics")
        .set("topics.services.durability", "journaled")
        .set("topics.events.dead_letter", true)
        .set("topics.events.deadline", "2s")
        .set("quota.records", 1_000)
        .set("metrics.customer_series", 1)
        .start()
}

/// A gateway with a certificate, a list of revoked client certificates and a folder of token keys.
fn secure_gateway() -> Gateway {
    let authority = Authority::new("watched");
    let home = Home::new().with_tls(&authority.gateway());
    home.write("ca.pem", authority.pem());
    home.write("crl.pem", authority.revoke(&[], 7));
    home.set("tokens.keys", "keys")
        .set("server.tls.client_ca", "ca.pem")
        .set("server.tls.client_crl", "crl.pem")
        .start()
}

/// One request of each kind, accepted and refused.
fn load(gateway: &Gateway) {
    for path in [EVENTS, SERVICES, "/publish/metrics/", "/publish/entity/"] {
        gateway.publish(path, RECORD);
    }
    gateway.publish(
        EVENTS,
        format!(r#"{{"envcustomerid":"acme","x":"{}"}}"#, "x".repeat(5_000)),
    );
    gateway.publish(EVENTS, format!("[{}]", vec![RECORD; 2_000].join(",")));
    gateway.publish(EVENTS, "no record");
    gateway.log_in("stranger@example.com", "guess");
}

/// The expressions of all panels, each with its panel's title.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let mut expression = target["expr"].as_str().expect("an expression").to_owned();
            for (variable, value) in VARIABLES {
                expression = expression.replace(variable, value);
            }
            assert!(!expression.contains('$'), "{title}: {expression}");
            expressions.push((title.to_owned(), expression));
        }
    }
    assert!(expressions.len() > 40, "{} expressions", expressions.len());
    expressions
}

#[test]
fn every_panel_has_a_unit_and_a_description_and_stands_in_a_row() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let mut ids = BTreeSet::new();
    let mut has_row = false;
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is taken");
        if panel["type"] == "row" {
            has_row = true;
            continue;
        }
        assert!(has_row, "{title}: it stands in no row");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
        let description = panel["description"].as_str();
        for text in [unit, description] {
            assert!(text.is_some_and(|text| !text.is_empty()), "{title}");
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn every_rule_and_panel_has_data_of_a_real_gateway_and_alerts_follow_a_sink() {
    let (kafka, pubsub) = (Kafka::shared(), PubSub::shared());
    let (gateway, secure) = (gateway(kafka, pubsub), secure_gateway());
    let prometheus = Prometheus::start(&[gateway.admin, secure.admin]);
    let values = |expression: &str| {
        let values = prometheus.query(expression);
        values.unwrap_or_else(|error| panic!("{expression}: {error}"))
    };

    let expressions = panels();
    let mut told = "";
    eventually(AMPLE, "every panel has data", || {
        load(&gateway);
        let empty = expressions
            .iter()
            .find(|(_, expression)| values(expression).is_empty());
        if let Some((title, expression)) = empty
            && title != told
        {
            eprintln!("as yet without data: {title}: {expression}");
            told = title;
        }
        empty.is_none()
    });
    for expected in [
        "iem_gateway_dead_lettered_total{topic=\"events\"} > 0",
        "iem_gateway_over_quota_records_total > 0",
        "iem_gateway_failed_logins_total > 0",
    ] {
        assert!(!values(expected).is_empty(), "{expected}");
    }

    let rules = prometheus.rules();
    assert!(rules.len() > 40, "{} rules", rules.len());
    eventually(AMPLE, "every rule is evaluated", || {
        prometheus.rules().iter().all(|rule| rule["health"] == "ok")
    });
    let expression = |name: &str| {
        let rule = rules.iter().find(|rule| rule["name"] == name);
        let query = rule.and_then(|rule| rule["query"].as_str());
        query.unwrap_or_else(|| panic!("no rule {name}")).to_owned()
    };
    for rule in &rules {
        let query = rule["query"].as_str().expect("an expression");
        let found = values(query);
        // Journals that do not grow are never full.
        let may_be_empty =
            rule["name"] == "instance_topic:iem_gateway_journal_time_to_full:seconds";
        let is_recording = rule["type"] == "recording";
        assert!(
            !is_recording || may_be_empty || !found.is_empty(),
            "{query}"
        );
    }

    let alerts = ["IemGatewaySinkDown", "IemGatewaySinkDownJournaled"];
    let is_true = |name: &str| !values(&expression(name)).is_empty();
    assert_eq!(alerts.map(is_true), [false, false], "before");
    kafka.delete_topic("watched-events");
    kafka.delete_topic("watched-services");
    eventually(AMPLE, "the alerts' expressions are true", || {
        gateway.publish(EVENTS, RECORD);
        gateway.publish(SERVICES, RECORD).expect(200);
        let refused = "sum(iem_gateway_requests_total{status='503'}) > 0";
        !values(refused).is_empty() && alerts.map(is_true) == [true, true]
    });
    eventually(AMPLE, "the alert waits for its time, or fires", || {
        let rules = prometheus.rules();
        let sink_down = rules.iter().find(|rule| rule["name"] == alerts[0]);
        sink_down.is_some_and(|rule| rule["state"] != "inactive")
    });
    kafka.create_topic("watched-events", 1, 1, &[]);
    kafka.create_topic("watched-services", 1, 1, &[]);
    eventually(AMPLE, "the sink's alerts end", || {
        alerts.map(is_true) == [false, false]
    });
}
