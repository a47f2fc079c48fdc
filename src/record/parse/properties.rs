//! The parser against plain `serde_json`, on generated records and damaged copies of them.

use std::fmt::{self, Write as _};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::*;

/// The top-level fields of an object as `serde_json` reads them whole, with those given twice.
struct Whole(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Whole, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Whole(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Whether `body` is one JSON object by `serde_json`'s grammar, which refuses no number and no lone
/// surrogate as long as nothing is converted.
fn is_object(body: &[u8]) -> bool {
    let object = body.trim_ascii_start().starts_with(b"{");
    std::str::from_utf8(body).is_ok()
        && object
        && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The customer by the contract, out of a whole reading. `None` where it has none, or more than
/// one.
fn customer_of(entries: &[(String, Value)]) -> Option<String> {
    let mut named = None;
    for field in customer::FIELDS {
        let mut values = entries
            .iter()
            .filter(|(name, _)| name == field)
            .map(|(_, value)| value);
        let Some(value) = values.next() else { continue };
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) if number.is_u64() => number.to_string(),
            _ => return None,
        };
        if values.next().is_some() || named.as_ref().is_some_and(|other| *other != text) {
            return None;
        }
        named = Some(text);
    }
    named
}

fn agree(body: &[u8]) -> Result<(), TestCaseError> {
    let key_fields = KeyFields::from_iter(["splitby", "entityid"]);
    let found = parse(body, &key_fields);
    prop_assert_eq!(&found, &parse_by_text(body, &key_fields));
    if let Err(
        Malformed::Syntax { at, .. } | Malformed::Encoding { at } | Malformed::Several { at },
    ) = found
    {
        prop_assert!(at < body.len(), "{:?}", &found);
    }
    let by_grammar = matches!(
        &found,
        Ok(_)
            | Err(Malformed::CustomerMissing
                | Malformed::CustomerInvalid { .. }
                | Malformed::CustomerRepeated { .. }
                | Malformed::CustomerContradicted
                | Malformed::CustomerLookAlike)
    );
    prop_assert_eq!(by_grammar, is_object(body), "{:?}", &found);
    // A whole reading refuses some valid JSON: numbers out of range, lone surrogates, deep nesting.
    // An integer beyond 64 bits is a float to it.
    if let Ok(Whole(entries)) = serde_json::from_slice(body)
        && !entries
            .iter()
            .any(|(name, value)| customer::FIELDS.contains(&&**name) && value.is_f64())
    {
        prop_assert_eq!(
            found.ok().map(|parsed| parsed.customer().to_owned()),
            customer_of(&entries)
        );
    }
    Ok(())
}

/// A string as JSON, each character raw or escaped in one of the ways that there are.
fn string(content: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (content, vec(any::<u8>(), 8)).prop_map(|(content, ways)| {
        let mut json = String::from("\"");
        for (character, way) in content.chars().zip(ways.into_iter().cycle()) {
            match (character, way % 4) {
                ('"' | '\\' | '/', 0 | 1) => json.extend(['\\', character]),
                ('\n', 0 | 1) => json.push_str("\\n"),
                ('"' | '\\' | '\0'..='\x1f', _) | (_, 0) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(json, "\\u{unit:04x}").expect("a String takes it");
                    }
                }
                _ => json.push(character),
            }
        }
        json.push('"');
        json
    })
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        string(".{0,12}"),
        string("(acme|other|1001|)"),
        Just(r#""\ud800""#.to_owned()),
        prop_oneof!["null", "true", "false"].prop_map(String::from),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,4})?",
    ]
}

pub(in crate::record) fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

pub(in crate::record) fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        let entry =
            (string(".{0,4}"), inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
        prop_oneof![
            (vec(inner, 0..4), space())
                .prop_map(|(all, space)| format!("[{space}{}]", all.join(","))),
            (vec(entry, 0..4), space())
                .prop_map(|(all, space)| format!("{{{}{space}}}", all.join(","))),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => string("(envcustomerid|envcustomer_id)"),
        2 => string("(splitby|entityid)"),
        2 => string(".{0,8}"),
    ]
}

pub(in crate::record) fn object() -> impl Strategy<Value = String> {
    let entry = (space(), name(), space(), value())
        .prop_map(|(a, name, b, value)| format!("{a}{name}{b}:{value}"));
    (space(), vec(entry, 0..5), space())
        .prop_map(|(before, all, behind)| format!("{before}{{{}}}{behind}", all.join(",")))
}

/// A body with some bytes changed, and that cut off somewhere.
pub(in crate::record) fn changed(
    body: impl Strategy<Value = String>,
) -> impl Strategy<Value = [Vec<u8>; 2]> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"\"\\{}[]:,-0e.\0u\n"[..])
    ];
    let changes = vec((any::<prop::sample::Index>(), byte), 1..4);
    (body, changes, any::<prop::sample::Index>()).prop_map(|(body, changes, cut)| {
        let mut body = body.into_bytes();
        for (at, byte) in changes
            .into_iter()
            .filter(|_| !body.is_empty())
            .collect::<Vec<_>>()
        {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let cut = body[..cut.index(body.len() + 1)].to_vec();
        [body, cut]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_valid_json(body in object()) {
        prop_assert!(is_object(body.as_bytes()));
        agree(body.as_bytes())?;
    }

    #[test]
    fn agrees_with_serde_json_on_json_with_bytes_changed(bodies in changed(object())) {
        for body in bodies {
            agree(&body)?;
        }
    }

    #[test]
    fn never_panics(body in vec(any::<u8>(), 0..200)) {
        agree(&body)?;
    }
}
