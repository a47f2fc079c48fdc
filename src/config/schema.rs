//! The JSON Schema (2020-12) of the configuration file, made from the defaults and their comments.
//!
//! It takes every file that the gateway takes. It refuses what has the wrong form: unknown keys,
//! wrong types, numbers out of range, texts that are no duration, size or address. A bound on a
//! duration or size, and what several keys must fit together, stand in the descriptions alone.

use serde_json::{Map, Value, json};

use super::reference::{Key, Section, sections};
use crate::size;

/// Durations as `humantime` reads them.
const DURATION: &str = "^(0|\\s*([0-9][0-9\\s]*(\\.[0-9\\s]*[0-9][0-9\\s]*)?\
    (nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m\
    |hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\\s*)+)$";

/// Sizes as `bytesize` reads them, with a unit.
const SIZE: &str = "^([0-9]+\\.?[0-9]*|\\.[0-9]+)\\s*([bB]|[kKmMgGtTpPeE][iI]?[bB]?)$";

/// Returns the schema.
pub fn schema() -> Value {
    let sections = sections();
    let mut root = table(String::new());
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "Configuration of iem-gateway".into();
    root["description"] = format!(
        "The configuration file of iem-gateway {}. A file states only what differs from the \
         defaults.",
        env!("CARGO_PKG_VERSION")
    )
    .into();
    for section in &sections {
        let mut schema = table(section.about.clone());
        for key in &section.keys {
            schema["properties"][key.name] = key_schema(key, section);
        }
        extend(&mut schema, &section.schema);
        *section.name.split('.').fold(&mut root, |parent, name| {
            let tables = parent["properties"].as_object_mut();
            let tables = tables.expect("a table has properties");
            tables.entry(name).or_insert_with(|| table(String::new()))
        }) = schema;
    }
    root
}

/// Returns the schema of a table without keys.
fn table(about: String) -> Value {
    let mut schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    if !about.is_empty() {
        schema["description"] = about.into();
    }
    schema
}

fn key_schema(key: &Key, section: &Section) -> Value {
    let value = key.toml();
    let mut schema = match &value {
        toml::Value::Boolean(_) => json!({ "type": "boolean" }),
        toml::Value::Integer(_) => integer(key, section),
        toml::Value::Array(_) => json!({ "type": "array", "items": { "type": "string" } }),
        toml::Value::Table(_) => json!({ "type": "object" }),
        toml::Value::String(text) => of_text(text, key),
        toml::Value::Float(_) | toml::Value::Datetime(_) => {
            unreachable!("no key has such a value")
        }
    };
    schema["description"] = describe(key).into();
    if key.has_default {
        schema["default"] = serde_json::to_value(&value).expect("TOML without dates is JSON");
    }
    extend(&mut schema, &key.schema);
    schema
}

fn describe(key: &Key) -> String {
    let range = match key.range {
        "" => String::new(),
        range => format!("Range: {range}."),
    };
    [key.about.as_str(), &range].join(" ").trim().to_owned()
}

/// Adds the members of `other`, object by object.
fn extend(schema: &mut Value, other: &Map<String, Value>) {
    for (name, value) in other {
        match value.as_object() {
            Some(members) if schema[name].is_object() => extend(&mut schema[name], members),
            _ => schema[name] = value.clone(),
        }
    }
}

fn of_text(text: &str, key: &Key) -> Value {
    if humantime::parse_duration(text).is_ok() {
        return json!({
            "type": "string", "pattern": DURATION, "examples": ["500ms", "10s", "1h 30m"],
        });
    }
    if size::parse(text).is_some() {
        return json!({
            "type": "string", "pattern": SIZE, "examples": ["64 KiB", "8 MiB"],
        });
    }
    match choices(key.range) {
        Some(choices) if key.schema.is_empty() => json!({ "enum": choices }),
        _ => json!({ "type": "string" }),
    }
}

/// Returns the words of a range such as "file, kafka or pubsub".
fn choices(range: &str) -> Option<Vec<&str>> {
    let (first, last) = range.rsplit_once(" or ")?;
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    let words: Vec<_> = first.split(", ").chain([last]).collect();
    words.iter().all(is_word).then_some(words)
}

fn integer(key: &Key, section: &Section) -> Value {
    let (least, most) = bounds(key, section);
    let mut schema = json!({ "type": "integer", "minimum": least.unwrap_or(0) });
    if let Some(most) = most {
        schema["maximum"] = most.into();
    }
    schema
}

/// Returns the bounds of a range such as "1 to 1000". One that is another key of the table is that
/// key's.
fn bounds(key: &Key, section: &Section) -> (Option<u64>, Option<u64>) {
    let Some((least, most)) = key.range.split_once(" to ") else {
        return (None, None);
    };
    let other = |name: &str| {
        let key = section.keys.iter().find(|key| key.name == name);
        key.map_or((None, None), |key| bounds(key, section))
    };
    (
        least.parse().ok().or_else(|| other(least).0),
        most.parse().ok().or_else(|| other(most).1),
    )
}
