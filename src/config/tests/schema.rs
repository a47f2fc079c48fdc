//! Tests of the schema against the gateway's own reading of the same files.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use toml::Table;

use super::load_with;
use crate::config::reference::{Key, sections};
use crate::config::{Error, Errors, Loaded, schema};

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft202012::new(&schema()).expect("a schema"));

/// Values of every type, and texts of every form.
const VALUES: [&str; 23] = [
    "true",
    "0",
    "7",
    "-1",
    "1.5",
    "''",
    "'x y?'",
    "'10s'",
    "' 1 0 s 1m'",
    "'1.5h'",
    "'5'",
    "'0'",
    "'1M'",
    "'8 MiB'",
    "'.5 gb'",
    "'1k'",
    "'8 MiBs'",
    "'127.0.0.1:0'",
    "'[::1]:1'",
    "[]",
    "['a']",
    "[1]",
    "{ a = 1 }",
];

/// Asserts that the schema takes what the gateway takes, and refuses what has the wrong form.
#[track_caller]
pub(super) fn compare(toml: &str, loaded: &Result<Loaded, Errors>) {
    let Ok(table) = toml.parse::<Table>() else {
        return;
    };
    let file = serde_json::to_value(&table).expect("TOML is JSON");
    let faults: Vec<_> = VALIDATOR
        .iter_errors(&file)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    match loaded {
        Ok(_) => assert!(faults.is_empty(), "{toml}: {}", faults.join("\n")),
        Err(Errors(errors)) => {
            let of_form = errors.iter().find(|error| is_of_form(error));
            if let Some(error) = of_form {
                assert!(!faults.is_empty(), "{toml}: the schema misses {error}");
            }
        }
    }
}

/// Returns whether a schema can say this.
fn is_of_form(error: &Error) -> bool {
    let starts = ["invalid type", "unknown key"];
    let is_choice = error.message.contains("` is none of: ");
    let is_value = error.message.starts_with("invalid value");
    // A number of the right form may still be no address.
    let is_of_unit = error.message.contains("with its unit") || error.message.contains("integer");
    starts.iter().any(|start| error.message.starts_with(start))
        || is_choice
        || is_value && is_of_unit
}

fn paths() -> Vec<(String, Key)> {
    let mut paths = Vec::new();
    for section in sections() {
        for key in section.keys {
            paths.push((format!("{}.{}", section.name, key.name), key));
        }
    }
    assert!(paths.len() > 100, "{} keys", paths.len());
    paths
}

fn of(path: &str) -> Value {
    let schema = schema();
    path.split('.')
        .fold(&schema, |table, name| &table["properties"][name])
        .clone()
}

#[test]
fn it_is_a_schema_of_2020_12() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
}

#[test]
fn it_has_every_key_with_description_and_default() {
    for (path, key) in paths() {
        let found = of(&path);
        let description = found["description"].as_str().unwrap_or_default();
        assert!(!description.is_empty(), "{path}");
        assert!(
            found["type"].is_string() || found["enum"].is_array(),
            "{path}"
        );
        if key.has_default {
            let default = serde_json::to_value(key.toml()).expect("TOML is JSON");
            assert_eq!(found["default"], default, "{path}");
        }
    }
}

#[test]
fn it_takes_the_defaults() {
    let defaults = crate::config::layers::DEFAULTS;
    compare(defaults, &load_with(defaults, &[]));
}

#[test]
fn it_agrees_with_the_gateway_about_every_type_of_every_key() {
    let is_first = |path: &str| !path.starts_with("topics.") || path.starts_with("topics.events.");
    for (path, _) in paths().into_iter().filter(|(path, _)| is_first(path)) {
        for value in VALUES {
            // It compares.
            let _ = load_with(&format!("{path} = {value}"), &[]);
        }
        let _ = load_with(&format!("{path}x = 1"), &[]);
    }
}

#[test]
fn numbers_have_the_bounds_that_the_gateway_enforces() {
    let mut numbers = 0;
    for (path, key) in paths() {
        let found = of(&path);
        if found["type"] != "integer" {
            continue;
        }
        numbers += 1;
        let least = found["minimum"].as_i64().expect("a least number");
        let most = found["maximum"]
            .as_i64()
            .unwrap_or_else(|| panic!("{path}"));
        for outside in [least - 1, most + 1] {
            let loaded = load_with(&format!("{path} = {outside}"), &[]);
            let errors = loaded.expect_err(&format!("{path} = {outside}"));
            let error = errors
                .0
                .iter()
                .find(|error| error.key.as_ref() == Some(&path));
            assert!(error.is_some(), "{path} = {outside}: {errors}");
        }
        let names_other = key.range.contains('_') || path.starts_with("login.");
        for inside in [least, most].into_iter().filter(|_| !names_other) {
            if let Err(errors) = load_with(&format!("{path} = {inside}"), &[]) {
                let error = errors
                    .0
                    .iter()
                    .find(|error| error.key.as_ref() == Some(&path));
                assert_eq!(error, None, "{path}");
            }
        }
    }
    assert!(numbers > 20, "{numbers} numbers");
}

#[test]
fn choices_are_those_of_the_gateway() {
    let check = |path: &str, expected: &[&str]| {
        assert_eq!(of(path)["enum"], serde_json::json!(expected), "{path}");
    };
    check("sink.type", &["file", "kafka", "pubsub"]);
    check("topics.tickets.sink", &["file", "kafka", "pubsub"]);
    check("logging.format", &["text", "json"]);
    check("journal.on_damage", &["report", "refuse"]);
    check("sink.file.compress", &["none", "zstd"]);
    check("server.tls.client_certificates", &["optional", "required"]);
    check("topics.events.durability", &["delivered", "journaled"]);
}
