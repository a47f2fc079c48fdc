//! The ordering key: the fields that it is made of, and its text.

/// The names of the fields that make a topic's ordering key, the preferred one first. Without a name,
/// or without a value for any, the key is the customer alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFields(Box<[Box<str>]>);

impl KeyFields {
    /// Returns the names, the preferred one first.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|name| &**name)
    }
}

impl<N: Into<Box<str>>> FromIterator<N> for KeyFields {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl From<&[&str]> for KeyFields {
    fn from(names: &[&str]) -> Self {
        names.iter().copied().collect()
    }
}

/// The most bytes of a value that a key takes. Longer values are cut at a character, so records whose
/// values agree that far share an order. The bound keeps keys within the limits of every backend, and
/// their memory computable.
pub const KEY_VALUE_BYTES_MAX: usize = 512;

/// Returns `<customer>/<value>`, or `<customer>` if the record has no value.
///
/// Two customers whose names contain a `/` may share a key. They then share an order and nothing
/// else.
pub fn ordering_key(customer: &str, value: Option<&str>) -> Box<str> {
    let Some(value) = value else {
        return customer.into();
    };
    let value = &value[..value.floor_char_boundary(KEY_VALUE_BYTES_MAX)];
    let mut key = String::with_capacity(customer.len() + 1 + value.len());
    key.push_str(customer);
    key.push('/');
    key.push_str(value);
    key.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::{KEY_VALUE_BYTES_MAX, ordering_key};

    #[test]
    fn the_customer_stands_first() {
        assert_eq!(&*ordering_key("acme", Some("web-01")), "acme/web-01");
        assert_eq!(&*ordering_key("acme", None), "acme");
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let long = "é".repeat(KEY_VALUE_BYTES_MAX);
        assert_eq!(
            *ordering_key("a", Some(&long)),
            *format!("a/{}", "é".repeat(KEY_VALUE_BYTES_MAX / 2))
        );
        let odd = format!("x{long}");
        assert_eq!(
            ordering_key("a", Some(&odd)).len(),
            "a/x".len() + KEY_VALUE_BYTES_MAX - 2
        );
    }
}
