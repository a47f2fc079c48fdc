//! Reads the customer and the ordering key of one record.

use bytes::Bytes;

use super::customer::{self, customer};
use super::fields::{Fields, Wanted};
use super::key::{KeyFields, ordering_key};
use super::malformed::Malformed;
use super::{tape, text};

/// The customer and the ordering key of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The customer and the value in one allocation, as the attribute `subject` takes them.
    key: Box<str>,
    customer_len: usize,
}

impl Parsed {
    /// Returns the customer that the record names.
    pub fn customer(&self) -> &str {
        &self.key[..self.customer_len]
    }

    /// Returns the value of the first key field that has one.
    pub fn key_value(&self) -> Option<&str> {
        self.key.get(self.customer_len + 1..)
    }

    /// Returns the ordering key: `<customer>/<value>`, or the customer alone.
    pub fn into_key(self) -> Box<str> {
        self.key
    }
}

/// Reads one record: a body that is one JSON object (RFC 8259) and names its customer. The body must
/// not begin with a byte order mark, see [`without_bom`].
///
/// A key field counts if it is a non-empty string or a number; a number keeps its digits as sent. If
/// a key field occurs twice, the last one counts. A customer field that occurs twice is an error.
/// Only the size of the body bounds its nesting.
///
/// # Errors
/// The first fault in the grammar; without one, the fault of a field.
pub fn parse(body: &[u8], key_fields: &KeyFields) -> Result<Parsed, Malformed> {
    read(body, wanted(key_fields), parsed)
}

/// Returns what [`parse`] returns, without simd-json. Tests, fuzzing and benches compare the two.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_by_text(body: &[u8], key_fields: &KeyFields) -> Result<Parsed, Malformed> {
    text::read(body, wanted(key_fields)).and_then(|fields| parsed(&fields))
}

/// Returns the body without a leading UTF-8 byte order mark, which RFC 8259 lets a reader skip.
pub fn without_bom(mut body: Bytes) -> Bytes {
    const BOM: &[u8] = "\u{feff}".as_bytes();
    if body.starts_with(BOM) {
        body.split_off(BOM.len())
    } else {
        body
    }
}

/// Reads the wanted fields of an object and passes them to `judge`: by simd-json, or by `serde_json`
/// if simd-json refuses the body.
pub(super) fn read<R>(
    body: &[u8],
    wanted: Wanted<'_>,
    judge: impl Fn(&Fields<'_, '_>) -> Result<R, Malformed>,
) -> Result<R, Malformed> {
    match tape::object(body, wanted, &judge) {
        Some(judged) => judged,
        None => judge(&text::read(body, wanted)?),
    }
}

/// Returns the names of the fields that are read of a record.
pub(super) fn wanted(key_fields: &KeyFields) -> Wanted<'_> {
    Wanted {
        customer: customer::FIELDS,
        own: &[],
        key: key_fields,
    }
}

/// Returns the customer and the ordering key that the fields give.
pub(super) fn parsed(fields: &Fields<'_, '_>) -> Result<Parsed, Malformed> {
    let customer = customer(fields)?;
    Ok(Parsed {
        key: ordering_key(customer, fields.key_value()),
        customer_len: customer.len(),
    })
}

#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod tests;
