//! The few top-level fields that are wanted of an object. Both parsers fill them in.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::key::KeyFields;

/// The names of the wanted fields: the two that every record of its kind has, and those of the
/// ordering key. A name may be among both.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'n> {
    pub(super) own: [&'static str; 2],
    pub(super) key: &'n KeyFields,
}

/// The wanted fields that were found, in the order of [`Wanted`].
pub(super) struct Fields<'n, 'v> {
    pub(super) own: [Field<'n, 'v>; 2],
    key: SmallVec<[Field<'n, 'v>; 2]>,
    /// The bits of all wanted names. Few unwanted names share a bit with one of them, so most need
    /// no comparison.
    name_bits: u64,
}

/// One wanted field.
pub(super) struct Field<'n, 'v> {
    name: &'n str,
    /// The last value; `None` if the object does not have the field.
    pub(super) value: Option<Value<'v>>,
    /// The object has the field more than once.
    pub(super) repeated: bool,
}

/// The value of a field, as far as the gateway reads values.
#[derive(Clone)]
pub(super) enum Value<'v> {
    /// A string, its escapes resolved.
    String(Cow<'v, str>),
    /// A number, its text as sent.
    Number(Cow<'v, str>),
    /// Anything else, and a string that is not Unicode: RFC 8259 allows an escape such as `\ud800`
    /// without its other half, but it names no character.
    Other,
}

impl<'n, 'v> Fields<'n, 'v> {
    /// Creates the fields with no value found yet.
    pub(super) fn none_yet(wanted: Wanted<'n>) -> Self {
        let field = |name| Field {
            name,
            value: None,
            repeated: false,
        };
        let names = wanted.own.into_iter().chain(wanted.key.names());
        Self {
            own: wanted.own.map(field),
            key: wanted.key.names().map(field).collect(),
            name_bits: names.fold(0, |bits, name| bits | name_bit(name.as_bytes())),
        }
    }

    /// Forgets all values, for the next object.
    pub(super) fn clear(&mut self) {
        for field in self.own.iter_mut().chain(&mut self.key) {
            field.value = None;
            field.repeated = false;
        }
    }

    /// Returns whether the field `name` is wanted. Only wanted fields have their values read.
    #[inline]
    pub(super) fn want(&self, name: &[u8]) -> bool {
        self.name_bits & name_bit(name) != 0
            && self
                .own
                .iter()
                .chain(&self.key)
                .any(|field| field.name.as_bytes() == name)
    }

    /// Stores the value of a wanted field.
    pub(super) fn put(&mut self, name: &[u8], value: &Value<'v>) {
        let fields = self.own.iter_mut().chain(&mut self.key);
        for field in fields.filter(|field| field.name.as_bytes() == name) {
            field.repeated = field.value.replace(value.clone()).is_some();
        }
    }

    /// Returns the value of the first key field that has one: a non-empty string or a number.
    pub(super) fn key_value(&self) -> Option<&str> {
        self.key
            .iter()
            .find_map(|field| match field.value.as_ref()? {
                Value::String(text) | Value::Number(text) if !text.is_empty() => Some(&**text),
                Value::String(_) | Value::Number(_) | Value::Other => None,
            })
    }
}

/// Returns one of 64 bits, chosen by the length and the first byte of a name.
fn name_bit(name: &[u8]) -> u64 {
    let first = name.first().copied().unwrap_or_default();
    1 << ((name.len() ^ usize::from(first)) % 64)
}
