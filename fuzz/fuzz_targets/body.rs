//! Any bytes as a body, of every kind. Checked: nothing panics; both ways of reading agree; what is taken is one JSON
//! object by another reading of the grammar, and the customer is the one that a reader of whole documents finds.

#![no_main]

use std::str;
use std::sync::LazyLock;

use iem_gateway::record::{KeyFields, Kind, TicketUpdate, parse, parse_by_text};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

static KEYS: LazyLock<[KeyFields; Kind::COUNT]> =
    LazyLock::new(|| Kind::ALL.map(|kind| KeyFields::from(kind.default_key())));

fuzz_target!(|body: &[u8]| {
    for kind in Kind::ALL {
        let key = &KEYS[kind as usize];
        if kind == Kind::Ticket {
            assert_eq!(TicketUpdate::parse(body, key), TicketUpdate::parse_by_text(body, key));
            continue;
        }
        let parsed = parse(body, key);
        assert_eq!(parsed, parse_by_text(body, key));
        match parsed {
            Ok(parsed) => {
                assert!(is_object(body), "taken, but no JSON object");
                // A whole reading refuses some valid JSON: numbers out of range, deep nesting.
                if let Ok(object) = serde_json::from_slice::<Map<String, Value>>(body)
                    && let Some(customer) = customer(&object)
                {
                    assert_eq!(parsed.customer(), customer);
                }
            }
            Err(error) => assert!(error.to_string().len() <= 256, "{error}"),
        }
    }
});

fn is_object(body: &[u8]) -> bool {
    str::from_utf8(body)
        .is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{')))
}

/// The customer as the reader of whole documents has it; `None` for an integer of which it kept no digits.
fn customer(object: &Map<String, Value>) -> Option<String> {
    let named = ["envcustomerid", "envcustomer_id"].map(|field| object.get(field));
    match named.into_iter().flatten().next() {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
        other => panic!("taken, but its customer is {other:?}"),
    }
}
