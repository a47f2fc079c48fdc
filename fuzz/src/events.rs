//! Any bytes as events of `CloudEvents`, one, an array of them or one a line, and as a
//! notification of Alertmanager. Checked: nothing panics; the grammar is that of `serde_json`; the
//! attributes are those that a reader of whole objects finds, and the data is the slice that
//! `serde_json` cuts out; both ways of reading the data agree; the event of an alert is a record of
//! the customer asked for.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use iem_gateway::record::{
    AlertMapping, Alerts, BodyFault, CloudEvent, CloudEvents, EventData, EventForm, KeyFields,
    Kind, Malformed, cloud_events, parse,
};
use serde_json::value::RawValue;

static KEYS: LazyLock<[KeyFields; Kind::COUNT]> =
    LazyLock::new(|| Kind::ALL.map(|kind| KeyFields::from(kind.default_key())));

static MAPPING: LazyLock<AlertMapping> = LazyLock::new(|| AlertMapping {
    severity: ["severity".into()].into(),
    default_severity: "warning".into(),
    entity: ["instance".into(), "job".into()].into(),
    ..AlertMapping::default()
});

/// The members of an object, the last of those with one name.
type Whole<'b> = BTreeMap<String, &'b RawValue>;

/// Checks one input.
pub fn check(body: &[u8]) {
    for form in [EventForm::Structured, EventForm::Batch, EventForm::Lines] {
        check_events(body, form);
    }
    check_alerts(body);
}

fn check_events(body: &[u8], form: EventForm) {
    let found = cloud_events(body, form, usize::MAX);
    let values = values(body, form);
    match found {
        Ok(CloudEvents { events, fault, .. }) => {
            let values = values.expect("what is taken is JSON");
            assert_eq!(fault.is_none(), events.len() == values.len());
            for (event, value) in events.iter().zip(values) {
                check_event(event, value);
            }
        }
        Err(BodyFault::Malformed { malformed, .. }) => {
            let is_of_syntax = matches!(
                malformed,
                Malformed::Encoding { .. }
                    | Malformed::Syntax { .. }
                    | Malformed::Incomplete { .. }
                    | Malformed::Several { .. }
            );
            assert!(!is_of_syntax || values.is_none(), "{malformed:?}");
        }
        Err(BodyFault::TooMany) => panic!("any number is wanted"),
    }
}

fn check_event(event: &CloudEvent<'_>, text: &str) {
    let key = &KEYS[event.kind as usize];
    if let EventData::Json(data) = &event.data {
        assert_eq!(
            event.read(data, key, false),
            event.read(data, key, true),
            "both ways of reading"
        );
    }
    // A name that is no Unicode is nothing to a reader of whole objects.
    let Ok(whole) = serde_json::from_str::<Whole<'_>>(text) else {
        return;
    };
    let attribute = |name: &str| serde_json::from_str::<String>(whole[name].get()).expect(name);
    assert_eq!(attribute("specversion"), "1.0");
    assert_eq!(attribute("id"), event.id);
    assert_eq!(attribute("source"), event.source);
    assert_eq!(attribute("type"), event.kind.event_type());
    match &event.data {
        EventData::Json(data) => assert_eq!(*data, whole["data"].get().as_bytes()),
        EventData::Base64(data) => assert_eq!(attribute("data_base64"), **data),
        EventData::Body(_) => panic!("the body holds the event"),
    }
}

fn check_alerts(body: &[u8]) {
    let Ok(alerts) = Alerts::read(body, usize::MAX) else {
        return;
    };
    assert!(alerts.count() > 0);
    for index in 0..alerts.count() {
        let Ok(event) = alerts.event(index, "acme", &MAPPING) else {
            return;
        };
        let event = serde_json::to_vec(&event).expect("it is JSON");
        let parsed = parse(&event, &KEYS[Kind::Event as usize]).expect("it is a record");
        assert_eq!(parsed.customer(), "acme");
        assert!(parsed.key_value().is_some(), "its fingerprint");
    }
}

/// Returns the values that a body holds; `None` if it is not of the grammar.
fn values(body: &[u8], form: EventForm) -> Option<Vec<&str>> {
    let text = str::from_utf8(body).ok()?;
    let one = |text| serde_json::from_str::<&RawValue>(text).map(RawValue::get);
    match form {
        EventForm::Structured => Some(vec![one(text).ok()?]),
        EventForm::Batch => {
            let all = serde_json::from_str::<Vec<&RawValue>>(text).ok()?;
            Some(all.into_iter().map(RawValue::get).collect())
        }
        EventForm::Lines => text
            .split('\n')
            .filter(|line| !line.trim_matches([' ', '\t', '\r']).is_empty())
            .map(|line| one(line).ok())
            .collect(),
    }
}
