//! The documentation of the configuration's keys: complete, and the schema made of it takes every
//! file that the gateway takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use iem_gateway::config::reference::Section;
use jsonschema::Validator;
use toml::Table;

use super::markdown::Page;
use super::{files, read};

/// Keys that the comments do not document, and keys that were not found in the file.
pub(super) fn faults(sections: &[Section]) -> Vec<String> {
    let mut faults = Vec::new();
    let defaults: Table = read("src/config/defaults.toml").parse().expect("TOML");
    for section in sections {
        let table = section.name.split('.').fold(&defaults, |table, name| {
            table[name].as_table().expect("a table of the defaults")
        });
        let found = section.keys.iter().filter(|key| key.has_default);
        let stated = table.keys().filter(|name| {
            let path = format!("{}.{name}", section.name);
            !sections.iter().any(|other| other.name == path)
        });
        if found.count() != stated.count() {
            faults.push(format!("[{}]: not every key was found", section.name));
        }
        for key in &section.keys {
            let has_text = !key.about.is_empty() || !key.range.is_empty();
            if !has_text || key.limits.iter().any(|limit| limit.beyond.is_empty()) {
                faults.push(format!("{}.{} is not documented", section.name, key.name));
            }
        }
    }
    faults
}

/// The configurations among the repository's files and the snippets of its pages that the schema
/// refuses, with the reasons.
pub(super) fn refused(pages: &[Page]) -> Vec<String> {
    let schema = Command::new(env!("CARGO_BIN_EXE_iem-gateway"))
        .arg("schema")
        .output()
        .expect("the program starts");
    let schema = serde_json::from_slice(&schema.stdout).expect("the schema is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema compiles");
    let is_configuration = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ["gateway.toml", "iem-gateway.example.toml", "defaults.toml"].contains(&&*name)
    };
    let mut configurations: Vec<(String, String)> = files("toml")
        .iter()
        .filter(|path| is_configuration(path))
        .map(|path| {
            let text = fs::read_to_string(path).expect("a file of the repository");
            (path.display().to_string(), text)
        })
        .collect();
    assert!(configurations.len() >= 3, "{configurations:?}");
    for snippet in pages.iter().flat_map(Page::snippets) {
        if snippet.kind == "toml" {
            configurations.push((snippet.place.clone(), snippet.text.clone()));
        }
    }
    assert!(configurations.len() > 10, "{} files", configurations.len());
    configurations
        .iter()
        .flat_map(|(place, text)| reasons(&validator, place, text))
        .collect()
}

fn reasons(validator: &Validator, place: &str, text: &str) -> Vec<String> {
    let table: Table = text.parse().expect("TOML");
    let file = serde_json::to_value(table).expect("TOML without dates is JSON");
    let errors = validator.iter_errors(&file);
    let reasons = errors.map(|error| format!("{place}: {}: {error}", error.instance_path()));
    reasons.collect()
}
