//! Notifications of Alertmanager as they end up as events.

use iem_test_support::{Answer, Gateway, Home, post};
use serde_json::{Value, json};

/// A notification as Alertmanager 0.25 sends it.
const NOTIFICATION: &str = r#"{
  "receiver": "iem",
  "status": "firing",
  "alerts": [
    {
      "status": "firing",
      "labels": {
        "alertname": "HighCpu", "instance": "web-01:9100", "job":"node", "severity": "critical"
      },
      "annotations": {
        "description": "CPU above 95 % for 10 minutes", "summary": "High CPU"
      },
      "startsAt": "2026-04-16T12:01:00.254Z",
      "endsAt": "0001-01-01T00:00:00Z",
      "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
      "fingerprint": "b1a2c3d4e5f60718"
    },
    {
      "status": "resolved",
      "labels": {"alertname": "HighCpu", "instance": "web-02:9100", "job": "node"},
      "annotations": {},
      "startsAt": "2026-04-16T11:00:00Z",
      "endsAt": "2026-04-16T12:00:30Z",
      "generatorURL": "",
      "fingerprint": "0123456789abcdef"
    }
  ],
  "groupLabels": {"alertname": "HighCpu"},
  "commonLabels": {"alertname": "HighCpu", "job": "node"},
  "commonAnnotations": {},
  "externalURL": "http://alertmanager:9093",
  "version": "4",
  "groupKey": "{}:{alertname=\"HighCpu\"}",
  "truncatedAlerts": 0
}"#;

fn notify(gateway: &Gateway, body: impl Into<Vec<u8>>) -> Answer {
    let request = post("/alertmanager/acme", body)
        .header(
            "Authorization",
            &format!("Bearer {}", gateway.token("alice")),
        )
        .header("Content-Type", "application/json");
    gateway.send(&request)
}

fn events(gateway: &Gateway) -> Vec<Value> {
    let lines = gateway.home.records("events");
    lines.iter().map(iem_test_support::Line::record).collect()
}

#[test]
fn an_alert_that_fires_and_one_that_is_resolved_end_up_as_events() {
    let gateway = Home::new().start();
    notify(&gateway, NOTIFICATION).expect(200);
    let expected = [
        json!({
            "parametername": "HighCpu", "parameterid": "HighCpu",
            "severity": "critical", "status": "firing",
            "description": "CPU above 95 % for 10 minutes", "messages": "High CPU",
            "entity": "web-01:9100", "entityid": "web-01:9100",
            "createdon": "2026-04-16T12:01:00.254Z",
            "toolmanager": "prometheus", "manageragent": "alertmanager",
            "envcustomerid": "acme",
            "firstoccurrence": "2026-04-16T12:01:00.254Z",
            "splitby": "b1a2c3d4e5f60718",
            "receiver": "iem", "groupKey": "{}:{alertname=\"HighCpu\"}",
            "externalURL": "http://alertmanager:9093",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            "startsAt": "2026-04-16T12:01:00.254Z",
            "labels": {
                "alertname": "HighCpu", "instance": "web-01:9100", "job": "node",
                "severity": "critical"
            },
            "annotations": {
                "description": "CPU above 95 % for 10 minutes", "summary": "High CPU"
            }
        }),
        json!({
            "parametername": "HighCpu", "parameterid": "HighCpu",
            "severity": "warning", "status": "resolved",
            "entity": "web-02:9100", "entityid": "web-02:9100",
            "createdon": "2026-04-16T12:00:30Z",
            "toolmanager": "prometheus", "manageragent": "alertmanager",
            "envcustomerid": "acme",
            "firstoccurrence": "2026-04-16T11:00:00Z",
            "splitby": "0123456789abcdef",
            "receiver": "iem", "groupKey": "{}:{alertname=\"HighCpu\"}",
            "externalURL": "http://alertmanager:9093", "generatorURL": "",
            "startsAt": "2026-04-16T11:00:00Z", "endsAt": "2026-04-16T12:00:30Z",
            "labels": {"alertname": "HighCpu", "instance": "web-02:9100", "job": "node"},
            "annotations": {}
        }),
    ];
    assert_eq!(events(&gateway), expected);
    let lines = gateway.home.records("events");
    let keys: Vec<_> = lines.iter().map(|line| line.attribute("subject")).collect();
    assert_eq!(keys, ["acme/b1a2c3d4e5f60718", "acme/0123456789abcdef"]);
    for line in &lines {
        assert_eq!(line.attribute("type"), "iem.event");
        assert_eq!(line.attribute("customerid"), "acme");
        assert_eq!(line.attribute("user"), "alice@acme.example");
    }
    let answered = gateway.metric(
        "iem_gateway_requests_total",
        &["endpoint=\"alertmanager\"", "status=\"200\""],
    );
    assert_eq!(answered.to_string(), "1");
}

#[test]
fn the_mapping_is_the_configurations() {
    let gateway = Home::new()
        .set("alertmanager.severity", vec!["level", "prio"])
        .set("alertmanager.default_severity", "3")
        .set("alertmanager.entity", vec!["job"])
        .set("alertmanager.parameter", Vec::<String>::new())
        .set("alertmanager.messages", vec!["description"])
        .start();
    let body = NOTIFICATION.replacen(r#""job":"node""#, r#""job":"node","prio":"P1""#, 1);
    notify(&gateway, body).expect(200);
    let events = events(&gateway);
    let severities: Vec<_> = events.iter().map(|event| &event["severity"]).collect();
    assert_eq!(severities, ["P1", "3"]);
    for event in &events {
        assert_eq!(event["entity"], "node");
        assert_eq!(event["parametername"], Value::Null);
    }
    assert_eq!(events[0]["messages"], "CPU above 95 % for 10 minutes");
}

#[test]
fn basic_credentials_are_taken_where_the_configuration_allows_it() {
    let gateway = Home::new().set("server.basic", true).start();
    let request = post("/alertmanager/acme", NOTIFICATION);
    gateway.send(&request).expect(401);
    let request = request.basic("alice@acme.example", "alice-password");
    gateway.send(&request).expect(200);
    assert_eq!(events(&gateway).len(), 2);
}

#[test]
fn a_large_notification_is_taken_and_leaves_no_memory_held() {
    let gateway = Home::new().start();
    let alert = r#"{"status":"firing","labels":{"instance":"i"},"fingerprint":"f"}"#;
    let body = |receiver: usize, count: usize| {
        let alerts = vec![alert; count].join(",");
        format!(
            r#"{{"version":"4","receiver":"{}","alerts":[{alerts}]}}"#,
            "r".repeat(receiver)
        )
    };
    notify(&gateway, body(10, 5000)).expect(200);
    assert_eq!(events(&gateway).len(), 5000);
    // What all alerts share stands in each event: a small body may not become a large one.
    notify(&gateway, body(100_000, 2000)).expect(413);
    assert_eq!(events(&gateway).len(), 5000);
    assert_eq!(
        gateway.metric("iem_gateway_memory_bytes", &[]).to_string(),
        "0"
    );
}
