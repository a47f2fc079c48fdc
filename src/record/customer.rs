//! The customer that a record names. A record must never be authorised for one customer and read as
//! another's, so anything that two readers could read differently is an error.

use super::fields::{Field, Fields, Value};
use super::malformed::Malformed;

/// Both spellings of the customer field. Every kind of record takes either.
pub(super) const FIELDS: [&str; 2] = ["envcustomerid", "envcustomer_id"];

/// Returns the customer that the fields of [`FIELDS`] name.
pub(super) fn customer<'f>(fields: &'f Fields<'_, '_>) -> Result<&'f str, Malformed> {
    named(fields)?.ok_or(Malformed::CustomerMissing)
}

/// Does the same for a record that may leave the customer out.
pub(super) fn named<'f>(fields: &'f Fields<'_, '_>) -> Result<Option<&'f str>, Malformed> {
    if fields.has_look_alike {
        return Err(Malformed::CustomerLookAlike);
    }
    let [first, second] = fields.customer();
    match (named_by(first, FIELDS[0])?, named_by(second, FIELDS[1])?) {
        (None, None) => Ok(None),
        (Some(customer), None) | (None, Some(customer)) => Ok(Some(customer)),
        (Some(one), Some(other)) if one == other => Ok(Some(one)),
        (Some(_), Some(_)) => Err(Malformed::CustomerContradicted),
    }
}

fn named_by<'f>(
    found: &'f Field<'_, '_>,
    field: &'static str,
) -> Result<Option<&'f str>, Malformed> {
    if found.repeated {
        return Err(Malformed::CustomerRepeated { field });
    }
    match &found.value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(Value::Number(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(text))
        }
        Some(_) => Err(Malformed::CustomerInvalid { field }),
    }
}
