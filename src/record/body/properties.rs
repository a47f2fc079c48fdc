//! Splitting against `serde_json`, which reads an array's elements as raw values, on generated
//! bodies and their ruins.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::parse::properties::{changed, object, space, value};
use super::*;

const MAX: usize = 6;

/// The records as slices; `None` if the body is not of the grammar.
fn slices(body: &[u8], form: Form) -> Option<Vec<&str>> {
    let values = |text| serde_json::from_str::<&RawValue>(text).map(RawValue::get);
    let text = str::from_utf8(body).ok()?;
    match form {
        Form::Json => {
            let array = serde_json::from_str::<Vec<&RawValue>>(text).ok()?;
            Some(array.into_iter().map(RawValue::get).collect())
        }
        Form::Lines => {
            let lines = text
                .split('\n')
                .filter(|line| !trimmed(line.as_bytes()).is_empty());
            lines.map(values).collect::<Result<_, _>>().ok()
        }
    }
}

/// Checks that `parse_body` cuts a body as `serde_json` does, by either method.
fn agree(body: &[u8], form: Form) -> Result<(), TestCaseError> {
    if form == Form::Json && trimmed(body).first() != Some(&b'[') {
        return Ok(());
    }
    let key_fields = KeyFields::from_iter(["splitby", "entityid"]);
    let body = Bytes::copy_from_slice(body);
    let found = parse_body(&body, form, &key_fields, MAX);
    prop_assert_eq!(
        &found,
        &parse_body_by_text(&body, form, &key_fields, MAX),
        "the two ways of reading differ"
    );
    let Some(slices) = slices(&body, form) else {
        // The fault is the one that `serde_json` finds in the whole body.
        if let (Form::Json, Ok(_), Err(BodyFault::Malformed { record, malformed })) =
            (form, str::from_utf8(&body), &found)
        {
            prop_assert_eq!(
                text::elements(&body, MAX),
                Err((*record, malformed.clone()))
            );
        }
        let refused = match &found {
            Err(BodyFault::Malformed { malformed, .. }) => malformed.is_of_syntax(),
            Err(BodyFault::TooMany) => true,
            Ok(_) => false,
        };
        prop_assert!(refused, "{:?}", found);
        return Ok(());
    };
    let parsed: Vec<_> = slices
        .iter()
        .map(|slice| parse(slice.as_bytes(), &key_fields))
        .collect();
    let expected = match parsed.iter().position(Result::is_err) {
        _ if slices.len() > MAX => Err(BodyFault::TooMany),
        _ if slices.is_empty() => Err(BodyFault::Malformed {
            record: None,
            malformed: Malformed::NoRecord,
        }),
        Some(bad) => {
            let malformed = parsed[bad].clone().expect_err("bad");
            Err(BodyFault::Malformed {
                record: Some(bad),
                malformed,
            })
        }
        None => {
            let records = slices.iter().zip(parsed);
            Ok(ParsedBody {
                records: records
                    .map(|(slice, parsed)| record(slice, parsed))
                    .collect(),
                indexed: true,
            })
        }
    };
    prop_assert_eq!(found, expected);
    Ok(())
}

fn record(slice: &str, parsed: Result<Parsed, Malformed>) -> ParsedRecord {
    ParsedRecord {
        parsed: parsed.expect("good"),
        data: Bytes::copy_from_slice(slice.as_bytes()),
    }
}

/// Returns an element of a body, mostly a record.
fn element() -> impl Strategy<Value = String> {
    let record = object().prop_map(|object| {
        object
            .trim()
            .replacen('{', r#"{"envcustomerid":1,"#, 1)
            .replace(",}", "}")
    });
    prop_oneof![8 => record, 2 => object().prop_map(|object| object.trim().to_owned()), 1 => value()]
}

fn array() -> impl Strategy<Value = String> {
    array_of(element(), Just(","))
}

/// An array of elements with the same between any two.
fn array_of(
    element: impl Strategy<Value = String>,
    between: impl Strategy<Value = &'static str>,
) -> impl Strategy<Value = String> {
    let elements = vec((space(), element, space()), 0..=MAX + 1);
    (elements, space(), between).prop_map(|(elements, space, between)| {
        let elements = elements
            .into_iter()
            .map(|(before, element, behind)| before + &element + &behind);
        format!(
            "{space}[{}]{space}",
            elements.collect::<Vec<_>>().join(between)
        )
    })
}

fn lines() -> impl Strategy<Value = String> {
    (
        vec((space(), element(), space()), 0..=MAX + 1),
        any::<bool>(),
    )
        .prop_map(|(elements, ended)| {
            let line = |(before, element, behind): (String, String, String)| {
                // A line holds no line feed: white space is all that there is of them in valid
                // JSON.
                before + &element.replace('\n', " ") + &behind
            };
            let lines = elements
                .into_iter()
                .map(line)
                .collect::<Vec<_>>()
                .join("\n");
            if ended { lines + "\n" } else { lines }
        })
}

#[test]
fn a_missing_comma_is_found_where_serde_json_finds_it() {
    agree(br#"[{"envcustomerid":1}{"envcustomerid":1}]"#, Form::Json).expect("they agree");
}

proptest! {
    #[test]
    fn splits_arrays_as_serde_json_does(body in array()) {
        agree(body.as_bytes(), Form::Json)?;
    }

    #[test]
    fn splits_lines_as_serde_json_does(body in lines()) {
        agree(body.as_bytes(), Form::Lines)?;
    }

    #[test]
    fn splits_broken_arrays_as_serde_json_does(
        body in array_of(Just(r#"{"envcustomerid":1}"#.to_owned()), prop::sample::select(&["", ",,", ":", "]["]))
    ) {
        agree(body.as_bytes(), Form::Json)?;
    }

    #[test]
    fn splits_changed_bodies_as_serde_json_does(bodies in changed(prop_oneof![array(), lines()])) {
        for body in bodies {
            agree(&body, Form::Json)?;
            agree(&body, Form::Lines)?;
        }
    }

    #[test]
    fn never_panics(body in "[\\[\\]{}\",\\\\:1 \n]{0,200}") {
        agree(body.as_bytes(), Form::Json)?;
        agree(body.as_bytes(), Form::Lines)?;
    }
}
