//! Events against `serde_json`, which reads their members as raw values, on generated bodies and
//! damaged copies of them.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::parse::properties::{changed, object, space, value};
use super::*;
use crate::record::BodyFault;
use crate::record::body::trimmed;

const MAX: usize = 5;

/// The members of an object, the last of those with one name.
type Whole<'b> = BTreeMap<String, &'b RawValue>;

/// The values that a body holds; `None` if it is not of the grammar.
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
            .filter(|line| !trimmed(line.as_bytes()).is_empty())
            .map(|line| one(line).ok())
            .collect(),
    }
}

/// Checks that the events of a body are those that `serde_json` finds.
fn agree(body: &[u8], form: EventForm) -> Result<(), TestCaseError> {
    let begins_as_array = trimmed(body).first() == Some(&b'[');
    let begins_as_object = trimmed(body).first() == Some(&b'{');
    if form == EventForm::Batch && !begins_as_array
        || form == EventForm::Structured && !begins_as_object
    {
        return Ok(());
    }
    let found = cloud_events(body, form, MAX);
    let Some(values) = values(body, form) else {
        let refused = match &found {
            Err(BodyFault::Malformed { malformed, .. }) => malformed.is_of_syntax(),
            Err(BodyFault::TooMany) => true,
            Ok(_) => false,
        };
        prop_assert!(refused, "{:?}", found);
        return Ok(());
    };
    match found {
        Err(BodyFault::TooMany) => prop_assert!(values.len() > MAX),
        Err(BodyFault::Malformed { malformed, .. }) => {
            prop_assert!(!malformed.is_of_syntax(), "{malformed:?}");
        }
        Ok(CloudEvents { events, fault, .. }) => {
            prop_assert!(values.len() <= MAX);
            prop_assert_eq!(fault.is_none(), events.len() == values.len());
            for (event, value) in events.iter().zip(values) {
                same(event, value)?;
            }
        }
    }
    Ok(())
}

/// Checks that an event is the one that stands in `text`, its data at the same place.
fn same(event: &CloudEvent<'_>, text: &str) -> Result<(), TestCaseError> {
    // A lone surrogate in a name is no text to `serde_json`.
    let Ok(whole) = serde_json::from_str::<Whole<'_>>(text) else {
        return Ok(());
    };
    let attribute = |name: &str| serde_json::from_str::<String>(whole[name].get()).expect(name);
    prop_assert_eq!(attribute("specversion"), "1.0");
    prop_assert_eq!(&*event.id, attribute("id"));
    prop_assert_eq!(&*event.source, attribute("source"));
    prop_assert_eq!(event.kind.event_type(), attribute("type"));
    match &event.data {
        EventData::Json(data) => {
            prop_assert_eq!(data.as_ptr(), whole["data"].get().as_ptr());
            prop_assert_eq!(data.len(), whole["data"].get().len());
        }
        EventData::Base64(text) => prop_assert_eq!(&**text, attribute("data_base64")),
        EventData::Body(_) => prop_assert!(false, "the body is not binary"),
    }
    Ok(())
}

/// Returns an event, mostly a good one, its members in any order.
fn event() -> impl Strategy<Value = String> {
    let data = prop_oneof![
        6 => object().prop_map(|data| format!("\"data\":{data}")),
        1 => value().prop_map(|data| format!("\"data\":{data}")),
        1 => Just(r#""data_base64":"e30=""#.to_owned()),
    ];
    let other = prop_oneof![
        4 => Just(r#""time":"2026-04-16T12:01:00Z""#.to_owned()),
        1 => Just(r#""customerid":"acme""#.to_owned()),
        1 => Just(r#""customerid":null"#.to_owned()),
        1 => Just(r#""\u0069d":"b""#.to_owned()),
        1 => value().prop_map(|value| format!("\"ext\":{value}")),
    ];
    let kind = prop::sample::select(&["iem.event", "iem.metric", "iem.ticket", "x"]);
    (data, other, kind, "[a-z/]{1,4}", space()).prop_flat_map(
        |(data, other, kind, source, space)| {
            let members = vec![
                data,
                other,
                r#""specversion":"1.0""#.to_owned(),
                r#""id":"a""#.to_owned(),
                format!(r#""source":"{source}""#),
                format!(r#""type"{space}:"{kind}""#),
            ];
            Just(members)
                .prop_shuffle()
                .prop_map(|members| format!("{{{}}}", members.join(",")))
        },
    )
}

fn body() -> impl Strategy<Value = String> {
    let lines = vec(event(), 0..=MAX + 1).prop_map(|events| {
        let lines: Vec<_> = events
            .iter()
            .map(|event| event.replace(['\n', '\r'], " "))
            .collect();
        lines.join("\n")
    });
    let batch = vec((space(), event()), 0..=MAX + 1).prop_map(|events| {
        let events: Vec<_> = events
            .into_iter()
            .map(|(space, event)| space + &event)
            .collect();
        format!("[{}]", events.join(","))
    });
    prop_oneof![event(), lines, batch]
}

fn agree_in_every_form(body: &[u8]) -> Result<(), TestCaseError> {
    for form in [EventForm::Structured, EventForm::Batch, EventForm::Lines] {
        agree(body, form)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn events_are_those_that_serde_json_finds(body in body()) {
        agree_in_every_form(body.as_bytes())?;
    }

    #[test]
    fn changed_bodies_are_read_as_serde_json_does(bodies in changed(body())) {
        for body in bodies {
            agree_in_every_form(&body)?;
        }
    }

    #[test]
    fn never_panics(body in "[\\[\\]{}\",\\\\:1datype \n]{0,200}") {
        agree_in_every_form(body.as_bytes())?;
    }
}
