//! Properties for a client library: any names, and values that may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;

/// The key of the properties in the configuration.
pub(super) const KEY: &str = "sink.kafka.properties";

/// Names and values of properties. Only the names are ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a table of texts, numbers and booleans, which are all texts to the library.
pub(super) fn properties<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Properties, D::Error> {
    BTreeMap::<String, Value>::deserialize(deserializer)?
        .into_iter()
        .map(|(name, value)| match text(value) {
            Some(text) => Ok((name, text)),
            None => Err(D::Error::custom(format!(
                "property `{name}` must be a text, a number or a boolean; \
                 a name with dots goes in quotes"
            ))),
        })
        .collect::<Result<_, _>>()
        .map(Properties)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}
