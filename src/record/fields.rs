//! The few top-level fields that are wanted of an object. Both parsers fill them in.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::key::KeyFields;
use super::look_alike::is_look_alike;

/// The names of the wanted fields: both spellings of the customer, others that the kind of record
/// has, and those of the ordering key. A name may be among several.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'n> {
    pub(super) customer: [&'static str; 2],
    pub(super) own: &'static [&'static str],
    pub(super) key: &'n KeyFields,
}

/// The wanted fields that were found.
pub(super) struct Fields<'n, 'v> {
    /// All of them, in the order of [`Wanted`].
    all: SmallVec<[Field<'n, 'v>; 4]>,
    /// The number of fields before those of the ordering key.
    before_key: usize,
    /// A name looks like one of the customer's, without being it.
    pub(super) has_look_alike: bool,
    /// The bits of all names that are compared: the wanted ones, and those that may look like the
    /// customer's. Few other names share a bit with one of them, so most need no comparison.
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
        let own = || wanted.own.iter().copied();
        let names = own().chain(wanted.key.names());
        let bits = names.map(|name| name_bit(name.as_bytes(), 0));
        // A look-alike may have one letter of two bytes.
        let alike = |name: &str| name_bit(name.as_bytes(), 0) | name_bit(name.as_bytes(), 1);
        let bits = bits.chain(wanted.customer.map(alike));
        Self {
            all: wanted
                .customer
                .into_iter()
                .chain(own())
                .chain(wanted.key.names())
                .map(field)
                .collect(),
            before_key: wanted.customer.len() + wanted.own.len(),
            has_look_alike: false,
            name_bits: bits.fold(0, |all, bits| all | bits),
        }
    }

    /// Forgets all values, for the next object.
    pub(super) fn clear(&mut self) {
        self.has_look_alike = false;
        for field in &mut self.all {
            field.value = None;
            field.repeated = false;
        }
    }

    /// Notes the name of a field, and returns whether the field is wanted. Only wanted fields have
    /// their values read.
    #[inline]
    pub(super) fn meet(&mut self, name: &[u8]) -> bool {
        self.name_bits & name_bit(name, 0) != 0 && self.compare(name)
    }

    fn compare(&mut self, name: &[u8]) -> bool {
        let mut spellings = self.customer().iter();
        let looks_alike = spellings.any(|field| is_look_alike(name, field.name));
        self.has_look_alike |= looks_alike;
        self.all.iter().any(|field| field.name.as_bytes() == name)
    }

    /// Stores the value of a wanted field.
    pub(super) fn put(&mut self, name: &[u8], value: &Value<'v>) {
        let fields = self.all.iter_mut();
        for field in fields.filter(|field| field.name.as_bytes() == name) {
            field.repeated = field.value.replace(value.clone()).is_some();
        }
    }

    /// Returns the fields of both spellings of the customer.
    pub(super) fn customer(&self) -> &[Field<'n, 'v>; 2] {
        self.all.first_chunk().expect("both spellings are wanted")
    }

    /// Returns the other fields that the kind of record has.
    pub(super) fn own(&self) -> &[Field<'n, 'v>] {
        &self.all[self.customer().len()..self.before_key]
    }

    /// Returns the value of the first key field that has one: a non-empty string or a number.
    pub(super) fn key_value(&self) -> Option<&str> {
        self.all[self.before_key..]
            .iter()
            .find_map(|field| match field.value.as_ref()? {
                Value::String(text) | Value::Number(text) if !text.is_empty() => Some(&**text),
                Value::String(_) | Value::Number(_) | Value::Other => None,
            })
    }
}

/// Returns one of 64 bits, chosen by the first letter of a name, small or capital, and by its length
/// with so many bytes more.
fn name_bit(name: &[u8], more: usize) -> u64 {
    let first = name.first().copied().unwrap_or_default() | b' ';
    1 << (((name.len() + more) ^ usize::from(first)) % 64)
}
