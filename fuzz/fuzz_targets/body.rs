//! Any bytes as a body, of every kind. Checked: nothing panics; both ways of reading agree; the grammar is that of
//! `serde_json`, and the customer is the one that a reader of whole documents finds.

#![no_main]

use std::str;
use std::sync::LazyLock;

use iem_gateway::record::{KeyFields, Kind, Malformed, TicketUpdate, parse, parse_by_text};
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
        let by_grammar = !matches!(
            parsed,
            Err(Malformed::Empty
                | Malformed::NotAnObject
                | Malformed::Encoding { .. }
                | Malformed::Syntax { .. }
                | Malformed::Incomplete { .. }
                | Malformed::Several { .. })
        );
        assert_eq!(by_grammar, is_object(body), "{parsed:?}");
        // A whole reading refuses some valid JSON: numbers out of range, lone surrogates, deep nesting.
        if let Ok(parsed) = &parsed
            && let Ok(object) = serde_json::from_slice::<Map<String, Value>>(body)
            && let Some(customer) = customer(&object)
        {
            assert_eq!(parsed.customer(), customer);
        }
    }
});

fn is_object(body: &[u8]) -> bool {
    str::from_utf8(body).is_ok_and(|text| {
        serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'))
    })
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
