//! Reads the change of a ticket as an ITSM tool reports it: `{"state":6,"sysid":"…"}`. The customer
//! is in the path; a body that names one too must name the same.

use super::customer;
use super::fields::{Field, Fields, Value, Wanted};
use super::key::KeyFields;
use super::malformed::Malformed;
use super::parse::read;
use super::text;

const FIELDS: &[&str] = &["state", "sysid"];

/// The change of a ticket, as far as the gateway reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketUpdate {
    /// The ticket's state, in the numbers of the ITSM tool.
    pub state: i64,
    /// The ticket's identifier at the ITSM tool. Not empty.
    pub sysid: String,
    /// The value of the first key field that has one; by default `sysid`.
    pub key_value: Option<String>,
}

impl TicketUpdate {
    /// Reads a body that is one JSON object (RFC 8259), for the customer of its path. It may have
    /// other fields; if a field other than the customer's occurs twice, the last one counts.
    ///
    /// # Errors
    /// The fault and its byte or field: the body is not an object, names another customer, `state`
    /// is neither a 64-bit integer nor a string of one, or `sysid` is empty or not a string.
    pub fn parse(body: &[u8], customer: &str, key_fields: &KeyFields) -> Result<Self, Malformed> {
        read(body, wanted(key_fields), |fields| update(fields, customer))
    }

    /// Returns what [`TicketUpdate::parse`] returns, without simd-json.
    ///
    /// # Errors
    /// Those of [`TicketUpdate::parse`].
    pub fn parse_by_text(
        body: &[u8],
        customer: &str,
        key_fields: &KeyFields,
    ) -> Result<Self, Malformed> {
        text::read(body, wanted(key_fields)).and_then(|fields| update(&fields, customer))
    }
}

fn wanted(key_fields: &KeyFields) -> Wanted<'_> {
    Wanted {
        customer: customer::FIELDS,
        own: FIELDS,
        key: key_fields,
    }
}

fn update(fields: &Fields<'_, '_>, customer: &str) -> Result<TicketUpdate, Malformed> {
    if customer::named(fields)?.is_some_and(|named| named != customer) {
        return Err(Malformed::TicketCustomer);
    }
    let [state, sysid] = fields.own() else {
        unreachable!("both fields are wanted");
    };
    Ok(TicketUpdate {
        state: integer(state).ok_or(Malformed::TicketState)?,
        sysid: text(sysid).ok_or(Malformed::TicketId)?,
        key_value: fields.key_value().map(str::to_owned),
    })
}

fn integer(field: &Field<'_, '_>) -> Option<i64> {
    let (Value::String(text) | Value::Number(text)) = field.value.as_ref()? else {
        return None;
    };
    // Rust's integers take a leading `+`, JSON's do not.
    if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

fn text(field: &Field<'_, '_>) -> Option<String> {
    match field.value.as_ref()? {
        Value::String(text) if !text.is_empty() => Some(text.as_ref().to_owned()),
        Value::String(_) | Value::Number(_) | Value::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Result<(i64, &str), Malformed>) {
        let key_fields = KeyFields::from_iter(["sysid"]);
        let found = TicketUpdate::parse(body.as_bytes(), "acme", &key_fields);
        assert_eq!(
            found,
            TicketUpdate::parse_by_text(body.as_bytes(), "acme", &key_fields),
            "{body}"
        );
        let expected = expected.map(|(state, sysid)| TicketUpdate {
            state,
            sysid: sysid.to_owned(),
            key_value: Some(sysid.to_owned()),
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn a_body_names_no_other_customer_than_the_path() {
        for named in [r#""envcustomerid":"acme""#, r#""envcustomer_id":"acme""#] {
            check(
                &format!(r#"{{"state":6,"sysid":"a",{named}}}"#),
                Ok((6, "a")),
            );
        }
        for (named, malformed) in [
            (r#""envcustomerid":"globex""#, Malformed::TicketCustomer),
            (r#""envcustomer_id":1001"#, Malformed::TicketCustomer),
            (
                r#""envcustomerid":"acme","envcustomer_id":"globex""#,
                Malformed::CustomerContradicted,
            ),
            (
                r#""envcustomerid":"globex","envcustomerid":"acme""#,
                Malformed::CustomerRepeated {
                    field: "envcustomerid",
                },
            ),
            (
                r#""envcustomerid":null"#,
                Malformed::CustomerInvalid {
                    field: "envcustomerid",
                },
            ),
            (r#""EnvCustomerId":"acme""#, Malformed::CustomerLookAlike),
        ] {
            check(
                &format!(r#"{{"state":6,"sysid":"a",{named}}}"#),
                Err(malformed),
            );
        }
    }

    #[test]
    fn state_is_an_integer_or_a_string_of_one() {
        let cases = [
            ("6", 6),
            (r#""6""#, 6),
            ("-1", -1),
            (r#""-1""#, -1),
            ("-0", 0),
            (r#""\u0036""#, 6),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ];
        for (state, expected) in cases {
            check(
                &format!(r#"{{"state":{state},"sysid":"a"}}"#),
                Ok((expected, "a")),
            );
        }
    }

    #[test]
    fn a_state_of_another_type_is_rejected() {
        let refused = [
            "6.0",
            "6e0",
            r#""""#,
            r#"" 6""#,
            r#""+6""#,
            r#""6.0""#,
            r#""0x6""#,
            r#""resolved""#,
            "null",
            "true",
            "[6]",
            r#"{"a":6}"#,
            "9223372036854775808",
            r#""\ud800""#,
        ];
        for state in refused {
            check(
                &format!(r#"{{"state":{state},"sysid":"a"}}"#),
                Err(Malformed::TicketState),
            );
        }
        check(r#"{"sysid":"a"}"#, Err(Malformed::TicketState));
        check("{}", Err(Malformed::TicketState));
    }

    #[test]
    fn sysid_is_a_non_empty_string() {
        for sysid in [
            r#""""#,
            "1",
            "1.5",
            "null",
            "[]",
            r#"{"sysid":"a"}"#,
            r#""\udfff""#,
        ] {
            check(
                &format!(r#"{{"state":6,"sysid":{sysid}}}"#),
                Err(Malformed::TicketId),
            );
        }
        check(r#"{"state":6}"#, Err(Malformed::TicketId));
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        check(
            r#"{"state":null,"sysid":1,"st\u0061te":6,"sysid":"b"}"#,
            Ok((6, "b")),
        );
        check(
            r#"{"state":6,"sysid":"b","state":null}"#,
            Err(Malformed::TicketState),
        );
    }

    #[test]
    fn other_fields_are_ignored() {
        check(
            r#"{"n":1e400,"state":6,"a":{"state":7},"sysid":"a\n"}"#,
            Ok((6, "a\n")),
        );
    }

    #[test]
    fn the_key_comes_from_the_configured_fields() {
        let key_fields = KeyFields::from_iter(["number", "sysid"]);
        for (number, expected) in [("1.50", "1.50"), (r#""""#, "a")] {
            let body = format!(r#"{{"state":6,"sysid":"a","number":{number}}}"#);
            let update =
                TicketUpdate::parse(body.as_bytes(), "acme", &key_fields).expect("a ticket");
            assert_eq!(update.key_value.as_deref(), Some(expected));
        }
    }
}
