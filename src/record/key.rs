//! The ordering key: which fields make it, and how it is written.

/// The names of the fields that make a topic's ordering key, the preferred one first. With none, or none of them in
/// the record, the key is the customer alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFields(Box<[Box<str>]>);

impl KeyFields {
    /// The names, the preferred one first.
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

/// `<customer>/<value>`, or `<customer>` where the record has no value.
///
/// Two customers whose names hold a `/` may share a key. They then share an order, and nothing else.
pub fn ordering_key(customer: &str, value: Option<&str>) -> Box<str> {
    let Some(value) = value else { return customer.into() };
    let mut key = String::with_capacity(customer.len() + 1 + value.len());
    key.push_str(customer);
    key.push('/');
    key.push_str(value);
    key.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::ordering_key;

    #[test]
    fn the_customer_stands_first() {
        assert_eq!(&*ordering_key("acme", Some("web-01")), "acme/web-01");
        assert_eq!(&*ordering_key("acme", None), "acme");
    }
}
