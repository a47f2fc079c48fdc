//! Tests of reading notifications.

use super::*;
use crate::record::{KeyFields, parse};

fn names(names: &[&str]) -> Box<[Box<str>]> {
    names.iter().map(|name| Box::from(*name)).collect()
}

fn mapping() -> AlertMapping {
    AlertMapping {
        severity: names(&["severity", "level"]),
        default_severity: "warning".into(),
        entity: names(&["instance", "node"]),
        parameter: names(&["alertname"]),
        description: names(&["description", "summary"]),
        messages: names(&["summary"]),
    }
}

/// Returns the events of a notification as text.
fn events(body: &str) -> Result<Vec<String>, BodyFault> {
    let alerts = Alerts::read(body.as_bytes(), 3)?;
    let mapping = mapping();
    (0..alerts.count())
        .map(|index| {
            let event = alerts.event(index, "acme", &mapping)?;
            Ok(serde_json::to_string(&event).expect("JSON"))
        })
        .collect()
}

fn with_alerts(alerts: &str) -> String {
    format!(r#"{{"version":"4","alerts":[{alerts}]}}"#)
}

#[track_caller]
fn check_fault(body: &str, record: Option<usize>, expected: &AlertFault) {
    let fault = events(body).expect_err("a fault");
    let malformed = Malformed::Alert(expected.clone());
    assert_eq!(fault, BodyFault::Malformed { record, malformed }, "{body}");
}

#[test]
fn an_alert_becomes_an_event() {
    let body = r#"{
      "version": "4", "groupKey": "{}:{alertname=\"cpu\"}", "truncatedAlerts": 0,
      "status": "firing",
      "receiver": "iem", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
      "externalURL": "http://alertmanager:9093",
      "alerts": [{
        "status": "firing",
        "labels": { "alertname": "cpu", "instance": "web-01", "severity": "high", "n": "\u00e4" },
        "annotations": {"summary": "CPU above 95 %", "description": "for 10 minutes"},
        "startsAt": "2026-04-16T12:01:00.254Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph", "fingerprint": "a1b2"
      }]
    }"#;
    let events = events(body).expect("an event");
    assert_eq!(
        events,
        [concat!(
            r#"{"parametername":"cpu","parameterid":"cpu","severity":"high","status":"firing","#,
            r#""description":"for 10 minutes","messages":"CPU above 95 %","#,
            r#""entity":"web-01","entityid":"web-01","createdon":"2026-04-16T12:01:00.254Z","#,
            r#""toolmanager":"prometheus","manageragent":"alertmanager","envcustomerid":"acme","#,
            r#""firstoccurrence":"2026-04-16T12:01:00.254Z","splitby":"a1b2","receiver":"iem","#,
            r#""groupKey":"{}:{alertname=\"cpu\"}","externalURL":"http://alertmanager:9093","#,
            r#""generatorURL":"http://prometheus:9090/graph","#,
            r#""startsAt":"2026-04-16T12:01:00.254Z","#,
            r#""labels":{ "alertname": "cpu", "instance": "web-01", "severity": "high", "#,
            r#""n": "\u00e4" },"annotations":{"summary": "CPU above 95 %", "#,
            r#""description": "for 10 minutes"}}"#
        )]
    );
    let keys = KeyFields::from_iter(["splitby", "entityid"]);
    let parsed = parse(events[0].as_bytes(), &keys).expect("a record");
    assert_eq!(&*parsed.into_key(), "acme/a1b2");
}

#[test]
fn an_alert_that_says_little_becomes_an_event_of_what_there_is() {
    let body = with_alerts(
        r#"{"status":"resolved","labels":{"node":"n1","severity":""},"fingerprint":"f",
            "annotations":null,"startsAt":"s","endsAt":"e"}"#,
    );
    assert_eq!(
        events(&body).expect("an event"),
        [concat!(
            r#"{"severity":"warning","status":"resolved","entity":"n1","entityid":"n1","#,
            r#""createdon":"e","toolmanager":"prometheus","manageragent":"alertmanager","#,
            r#""envcustomerid":"acme","firstoccurrence":"s","splitby":"f","startsAt":"s","#,
            r#""endsAt":"e","labels":{"node":"n1","severity":""}}"#
        )]
    );
}

#[test]
fn the_preferred_label_counts_wherever_it_stands() {
    for labels in [
        r#"{"level":"low","severity":"high","node":"n","instance":"i"}"#,
        r#"{"severity":"high","level":"low","instance":"i","node":"n"}"#,
    ] {
        let body = with_alerts(&format!(
            r#"{{"status":"firing","labels":{labels},"fingerprint":"f"}}"#
        ));
        let event = &events(&body).expect("an event")[0];
        assert!(event.contains(r#""severity":"high","status""#), "{event}");
        assert!(event.contains(r#""entity":"i""#), "{event}");
    }
}

#[test]
fn a_payload_at_fault_is_named_by_its_field() {
    for body in [
        "{}",
        r#"{"version":4,"alerts":[]}"#,
        r#"{"version":"3","alerts":[]}"#,
        r#"{"version":null}"#,
    ] {
        check_fault(body, None, &AlertFault::Version);
    }
    for body in [
        r#"{"version":"4"}"#,
        r#"{"version":"4","alerts":[]}"#,
        r#"{"version":"4","alerts":[ ]}"#,
        r#"{"version":"4","alerts":{}}"#,
        r#"{"version":"4","alerts":null}"#,
    ] {
        check_fault(body, None, &AlertFault::NoAlerts);
    }
    for field in ["receiver", "groupKey", "externalURL"] {
        let body = format!(r#"{{"version":"4","{field}":1,"alerts":[{{}}]}}"#);
        check_fault(&body, None, &AlertFault::NotText { field });
    }
    check_fault(
        r#"{"version":"4","alerts":[],"alerts":[]}"#,
        None,
        &AlertFault::Repeated { field: "alerts" },
    );
}

#[test]
fn an_alert_at_fault_is_named_by_its_index_and_its_field() {
    let good = r#"{"status":"firing","labels":{},"fingerprint":"f"}"#;
    let check = |bad: &str, expected: &AlertFault| {
        check_fault(&with_alerts(bad), Some(0), expected);
        check_fault(&with_alerts(&format!("{good},{bad}")), Some(1), expected);
    };
    check("5", &AlertFault::NotAnAlert);
    check(r#"{"labels":{},"fingerprint":"f"}"#, &AlertFault::Status);
    check(
        r#"{"status":"open","labels":{},"fingerprint":"f"}"#,
        &AlertFault::Status,
    );
    check(
        r#"{"status":1,"labels":{},"fingerprint":"f"}"#,
        &AlertFault::NotText { field: "status" },
    );
    for fingerprint in ["", r#","fingerprint":"""#, r#","fingerprint":null"#] {
        check(
            &format!(r#"{{"status":"firing","labels":{{}}{fingerprint}}}"#),
            &AlertFault::Fingerprint,
        );
    }
    for labels in [
        "",
        r#""labels":[],"#,
        r#""labels":{"a":1},"#,
        r#""labels":null,"#,
    ] {
        check(
            &format!(r#"{{{labels}"status":"firing","fingerprint":"f"}}"#),
            &AlertFault::NotStrings { field: "labels" },
        );
    }
    check(
        r#"{"status":"firing","labels":{},"annotations":"a","fingerprint":"f"}"#,
        &AlertFault::NotStrings {
            field: "annotations",
        },
    );
    check(
        r#"{"status":"firing","labels":{},"fingerprint":"f","startsAt":1}"#,
        &AlertFault::NotText { field: "startsAt" },
    );
    check(
        r#"{"status":"firing","status":"resolved","labels":{},"fingerprint":"f"}"#,
        &AlertFault::Repeated { field: "status" },
    );
}

#[test]
fn the_grammar_of_the_whole_body_comes_first() {
    let fault = events(r#"{"version":"3","alerts":[{"status":}]}"#).expect_err("a fault");
    assert!(matches!(
        fault,
        BodyFault::Malformed {
            record: None,
            malformed: Malformed::Syntax { .. }
        }
    ));
}

#[test]
fn more_alerts_than_are_taken_are_too_many() {
    let good = r#"{"status":"firing","labels":{},"fingerprint":"f"}"#;
    assert_eq!(
        events(&with_alerts(&[good; 3].join(","))).map(|all| all.len()),
        Ok(3)
    );
    assert_eq!(
        events(&with_alerts(&[good; 4].join(","))),
        Err(BodyFault::TooMany)
    );
}
