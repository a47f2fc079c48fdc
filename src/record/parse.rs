//! A body to the customer and the ordering key of its record. The gateway's hottest code.

use bytes::Bytes;

use super::customer::{self, customer};
use super::fields::{Fields, Wanted};
use super::key::{KeyFields, ordering_key};
use super::malformed::Malformed;
use super::{scan, text};

/// What the gateway reads of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The customer and the value in one allocation, as the record's `subject` takes them.
    key: Box<str>,
    customer_len: usize,
}

impl Parsed {
    /// The customer that the record names.
    pub fn customer(&self) -> &str {
        &self.key[..self.customer_len]
    }

    /// The value of the first key field that has one.
    pub fn key_value(&self) -> Option<&str> {
        self.key.get(self.customer_len + 1..)
    }

    /// The ordering key: `<customer>/<value>`, or the customer alone.
    pub fn into_key(self) -> Box<str> {
        self.key
    }
}

/// Reads one record: a body that is one JSON object (RFC 8259) which names its customer. The body
/// holds no byte order mark any more, see [`without_bom`].
///
/// A key field counts if it is a non-empty string or a number, whose digits stay as sent. Of a
/// field given twice the last counts; the customer given twice is an error. Nesting is bounded by
/// the body's size alone.
///
/// # Errors
/// What is wrong, and at which byte or field. What the grammar says comes before what the fields
/// say.
pub fn parse(body: &[u8], key_fields: &KeyFields) -> Result<Parsed, Malformed> {
    read(body, wanted(key_fields), parsed)
}

/// [`parse`] without its fast way. Slower, and always of the same result: tests, fuzzing and
/// benches compare the two.
///
/// # Errors
/// As [`parse`].
pub fn parse_by_text(body: &[u8], key_fields: &KeyFields) -> Result<Parsed, Malformed> {
    text::read(body, wanted(key_fields)).and_then(|fields| parsed(&fields))
}

/// The body without a leading UTF-8 byte order mark, which RFC 8259 lets a reader skip.
pub fn without_bom(mut body: Bytes) -> Bytes {
    const BOM: &[u8] = "\u{feff}".as_bytes();
    if body.starts_with(BOM) {
        body.split_off(BOM.len())
    } else {
        body
    }
}

/// Reads the wanted fields of a body by whichever way takes it, and judges them.
pub(super) fn read<R>(
    body: &[u8],
    wanted: Wanted<'_>,
    judge: impl FnOnce(&Fields<'_, '_>) -> Result<R, Malformed>,
) -> Result<R, Malformed> {
    match scan::object(body, wanted) {
        Some(fields) => judge(&fields),
        None => judge(&text::read(body, wanted)?),
    }
}

/// What is wanted of a record.
pub(super) fn wanted(key_fields: &KeyFields) -> Wanted<'_> {
    Wanted {
        own: customer::FIELDS,
        key: key_fields,
    }
}

pub(super) fn parsed(fields: &Fields<'_, '_>) -> Result<Parsed, Malformed> {
    let customer = customer(&fields.own)?;
    Ok(Parsed {
        key: ordering_key(customer, fields.key_value()),
        customer_len: customer.len(),
    })
}

#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod tests;
