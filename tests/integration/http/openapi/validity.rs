//! The document by itself: it is OpenAPI 3.1, each reference leads somewhere, and its messages are
//! the contract's.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{DOCUMENT, members};

/// The OpenAPI Initiative's schema of documents, of 2022-10-07 (Apache-2.0).
const SCHEMA: &str = include_str!("../../../data/openapi/schema-3.1.json");
const CONTRACT: &str = include_str!("../../../../docs/contract.md");

/// Calls `visit` with every value of the document, and the names above it.
fn walk(value: &Value, names: &mut Vec<String>, visit: &mut impl FnMut(&[String], &Value)) {
    visit(names, value);
    let elements = value.as_array().into_iter().flatten().enumerate();
    let elements = elements.map(|(index, element)| (index.to_string(), element));
    let fields = members(value).map(|(name, field)| (name.clone(), field));
    for (name, part) in fields.chain(elements) {
        names.push(name);
        walk(part, names, visit);
        names.pop();
    }
}

#[test]
fn the_document_is_openapi_3_1() {
    let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema compiles");
    let errors = validator.iter_errors(&DOCUMENT.root);
    let faults: Vec<_> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!validator.is_valid(&serde_json::json!({"openapi": "3.1.0"})));
}

#[test]
fn the_document_is_of_this_version_and_licence() {
    let info = &DOCUMENT.root["info"];
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info["license"]["identifier"], env!("CARGO_PKG_LICENSE"));
}

#[test]
fn every_reference_leads_to_a_part_and_every_part_is_referred_to() {
    let mut used = BTreeSet::new();
    walk(&DOCUMENT.root, &mut Vec::new(), &mut |_, value| {
        if let Some(reference) = value["$ref"].as_str() {
            DOCUMENT.resolved(value);
            used.insert(reference.to_owned());
        }
        for name in value["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(members)
        {
            used.insert(format!("#/components/securitySchemes/{}", name.0));
        }
    });
    // No operation answers so: another path does, or another method.
    for name in ["NotFound", "MethodNotAllowed"] {
        used.insert(format!("#/components/responses/{name}"));
    }
    let components = members(&DOCUMENT.root["components"]);
    let parts: BTreeSet<_> = components
        .flat_map(|(place, parts)| {
            members(parts).map(move |(name, _)| format!("#/components/{place}/{name}"))
        })
        .collect();
    assert_eq!(used, parts);
}

#[test]
fn every_schema_compiles() {
    let mut compiled = 0;
    walk(&DOCUMENT.root, &mut Vec::new(), &mut |names, value| {
        let [.., above, name] = names else { return };
        if name == "schema" || above == "schemas" {
            DOCUMENT.compiled(value);
            compiled += 1;
        }
    });
    assert!(compiled > 60, "{compiled} schemas");
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_tag_of_the_document() {
    let tags: Vec<_> = DOCUMENT.root["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .collect();
    let mut names = BTreeSet::new();
    for operation in DOCUMENT.operations() {
        let of = operation.of;
        let [tag] = of["tags"].as_array().expect("tags").as_slice() else {
            panic!("{} has not one tag", operation.name());
        };
        assert!(tags.iter().any(|it| it["name"] == *tag), "{tag}");
        for text in ["summary", "description"] {
            assert!(of[text].is_string(), "{} has no {text}", operation.name());
        }
        assert!(
            names.insert(of["operationId"].to_string()),
            "{}",
            of["operationId"]
        );
    }
}

/// Texts that clients match on stand in both documents to the letter.
#[test]
fn every_message_is_one_of_the_contract() {
    let mut messages = BTreeSet::new();
    walk(
        &DOCUMENT.root["components"],
        &mut Vec::new(),
        &mut |names, value| {
            let [.., above, name] = names else { return };
            let is_message = ["message", "detail", "error_description"].contains(&name.as_str());
            if is_message && above == "properties" {
                let fixed = value["enum"].as_array().into_iter().flatten();
                let fixed = fixed.chain(value.get("const"));
                messages.extend(fixed.filter_map(Value::as_str).map(str::to_owned));
            }
        },
    );
    assert!(messages.len() > 25, "{} messages", messages.len());
    for message in messages {
        assert!(CONTRACT.contains(&format!("\"{message}\"")), "{message}");
    }
}
