//! The few top-level fields that are wanted of an object, as either parser hands them over.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::key::KeyFields;

/// What is wanted of an object: the two fields that its kind is judged by, and those of the
/// ordering key. A name may be among both.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'n> {
    pub(super) own: [&'static str; 2],
    pub(super) key: &'n KeyFields,
}

/// What was found of it, in the same order.
pub(super) struct Fields<'n, 'v> {
    pub(super) own: [Field<'n, 'v>; 2],
    key: SmallVec<[Field<'n, 'v>; 2]>,
    /// The marks of all names: most fields are not wanted, and few have the mark of one that is.
    marks: u64,
}

/// One wanted field.
pub(super) struct Field<'n, 'v> {
    name: &'n str,
    /// The last value, where the object has the field.
    pub(super) value: Option<Value<'v>>,
    /// The object has the field more than once.
    pub(super) repeated: bool,
}

/// A field's value, as far as the gateway reads values.
#[derive(Clone)]
pub(super) enum Value<'v> {
    /// A string, its escapes resolved.
    String(Cow<'v, str>),
    /// A number, its text as sent.
    Number(Cow<'v, str>),
    /// Anything else, and a string that is not Unicode: an escape such as `\ud800` without its
    /// other half is within the grammar of RFC 8259, but names no character.
    Other,
}

impl<'n, 'v> Fields<'n, 'v> {
    /// Nothing found yet.
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
            marks: names.fold(0, |marks, name| marks | mark(name.as_bytes())),
        }
    }

    /// Whether the field `name` is wanted: values are read only of those.
    #[inline]
    pub(super) fn want(&self, name: &[u8]) -> bool {
        let is = |field: &Field<'_, '_>| field.name.as_bytes() == name;
        self.marks & mark(name) != 0 && self.own.iter().chain(&self.key).any(is)
    }

    /// Takes note of a wanted field of the object.
    pub(super) fn put(&mut self, name: &[u8], value: &Value<'v>) {
        let fields = self.own.iter_mut().chain(&mut self.key);
        for field in fields.filter(|field| field.name.as_bytes() == name) {
            field.repeated = field.value.replace(value.clone()).is_some();
        }
    }

    /// The value of the first key field that has one: a non-empty string or a number.
    pub(super) fn key_value(&self) -> Option<&str> {
        self.key
            .iter()
            .find_map(|field| match field.value.as_ref()? {
                Value::String(text) | Value::Number(text) if !text.is_empty() => Some(&**text),
                Value::String(_) | Value::Number(_) | Value::Other => None,
            })
    }
}

/// One of 64 bits, by the name's length and first byte.
fn mark(name: &[u8]) -> u64 {
    let first = name.first().copied().unwrap_or_default();
    1 << ((name.len() ^ usize::from(first)) % 64)
}
