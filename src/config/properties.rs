//! Properties that are passed on to a client library: any names, and values that may be secrets.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;

/// Where they stand in the configuration.
pub(super) const KEY: &str = "sink.kafka.properties";

/// Names and values. Only the names are ever shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a table of texts, numbers and booleans, which all are texts to the library.
pub(super) fn properties<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Properties, D::Error> {
    let text = |(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Integer(number) => Ok((name, number.to_string())),
        Value::Float(number) => Ok((name, number.to_string())),
        Value::Boolean(truth) => Ok((name, truth.to_string())),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(D::Error::custom(format!(
            "property `{name}` must be a text, a number or a boolean; a name with dots goes in quotes"
        ))),
    };
    let table = BTreeMap::<String, Value>::deserialize(deserializer)?;
    table
        .into_iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map(Properties)
}
