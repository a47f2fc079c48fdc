//! Any bytes as a body, of every kind: one record, an array of them, one a line. Checked: nothing
//! panics; both ways of reading agree; the grammar is that of `serde_json`, and the customer is the
//! one that a reader of whole documents finds; records are the slices of the body that `serde_json`
//! cuts out of it.

use std::str;
use std::sync::LazyLock;

use bytes::Bytes;
use iem_gateway::record::{
    BodyFault, Form, KeyFields, Kind, Malformed, ParsedBody, TicketUpdate, parse, parse_body,
    parse_body_by_text, parse_by_text,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

static KEYS: LazyLock<[KeyFields; Kind::COUNT]> =
    LazyLock::new(|| Kind::ALL.map(|kind| KeyFields::from(kind.default_key())));

/// Checks one input.
pub fn check(body: &[u8]) {
    for kind in Kind::ALL {
        let key = &KEYS[kind as usize];
        if kind == Kind::Ticket {
            assert_eq!(
                TicketUpdate::parse(body, "acme", key),
                TicketUpdate::parse_by_text(body, "acme", key)
            );
            continue;
        }
        let parsed = parse(body, key);
        assert_eq!(parsed, parse_by_text(body, key));
        let by_grammar = match &parsed {
            Ok(_) => true,
            Err(malformed) => {
                !is_of_syntax(malformed)
                    && !matches!(malformed, Malformed::Empty | Malformed::NotAnObject)
            }
        };
        assert_eq!(by_grammar, is_object(body), "{parsed:?}");
        // A whole reading refuses some valid JSON: numbers out of range, lone surrogates, deep
        // nesting.
        if let Ok(parsed) = &parsed
            && let Ok(object) = serde_json::from_slice::<Map<String, Value>>(body)
            && let Some(customer) = customer(&object)
        {
            assert_eq!(parsed.customer(), customer);
            assert!(names_alike(&object).all(|name| CUSTOMER.contains(&name)));
        }
    }
    let bytes = Bytes::copy_from_slice(body);
    if body.iter().find(|byte| !b" \t\n\r".contains(byte)) == Some(&b'[') {
        split_alike(&bytes, Form::Json, array(body));
    }
    split_alike(&bytes, Form::Lines, lines(body));
}

/// Both spellings of the customer field.
const CUSTOMER: [&str; 2] = ["envcustomerid", "envcustomer_id"];

/// Returns the names that a reader without regard for case takes for the customer field.
fn names_alike(object: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = object.keys().map(String::as_str);
    names.filter(|name| CUSTOMER.contains(&&*name.replace('ſ', "s").to_ascii_lowercase()))
}

/// Splits `body`, which `serde_json` takes for `values`, or for none if its grammar does not hold.
fn split_alike(body: &Bytes, form: Form, values: Option<Vec<&str>>) {
    let key = &KEYS[Kind::Event as usize];
    let found = parse_body(body, form, key, usize::MAX);
    assert_eq!(found, parse_body_by_text(body, form, key, usize::MAX));
    let Some(values) = values else {
        match found {
            Err(BodyFault::Malformed { malformed, .. }) if is_of_syntax(&malformed) => return,
            found => panic!("no JSON, but {found:?}"),
        }
    };
    let bad = values
        .iter()
        .position(|value| parse(value.as_bytes(), key).is_err());
    match found {
        Ok(ParsedBody { records, indexed }) => {
            assert!(indexed && bad.is_none() && records.len() == values.len());
            for (record, value) in records.iter().zip(values) {
                assert_eq!(record.data, value);
                assert_eq!(Ok(&record.parsed), parse(value.as_bytes(), key).as_ref());
            }
        }
        Err(BodyFault::Malformed { record, malformed }) => {
            assert!(!is_of_syntax(&malformed), "{malformed:?}");
            assert_eq!(record, bad);
            assert_eq!(malformed == Malformed::NoRecord, values.is_empty());
        }
        Err(BodyFault::TooMany) => panic!("any number is wanted"),
    }
}

fn array(body: &[u8]) -> Option<Vec<&str>> {
    let values = serde_json::from_str::<Vec<&RawValue>>(str::from_utf8(body).ok()?).ok()?;
    Some(values.into_iter().map(RawValue::get).collect())
}

fn lines(body: &[u8]) -> Option<Vec<&str>> {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(|byte| b" \t\r".contains(byte)))
        .map(value)
        .collect()
}

fn value(line: &[u8]) -> Option<&str> {
    let value = serde_json::from_str::<&RawValue>(str::from_utf8(line).ok()?);
    Some(value.ok()?.get())
}

fn is_of_syntax(malformed: &Malformed) -> bool {
    use Malformed::{Encoding, Incomplete, Several, Syntax};
    matches!(
        malformed,
        Encoding { .. } | Syntax { .. } | Incomplete { .. } | Several { .. }
    )
}

fn is_object(body: &[u8]) -> bool {
    str::from_utf8(body).is_ok_and(|text| {
        serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'))
    })
}

/// The customer as the reader of whole documents has it; `None` for an integer of which it kept no
/// digits.
fn customer(object: &Map<String, Value>) -> Option<String> {
    let named = ["envcustomerid", "envcustomer_id"].map(|field| object.get(field));
    match named.into_iter().flatten().next() {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
        other => panic!("taken, but its customer is {other:?}"),
    }
}
