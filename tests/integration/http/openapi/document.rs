//! The OpenAPI document, and what it says of a request and of its answer.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use iem_test_support::Answer;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

/// The file of the document.
pub(super) const TEXT: &str = include_str!("../../../../src/http/api/openapi.json");

/// The document.
pub(super) static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document {
    root: serde_json::from_str(TEXT).expect("the document is JSON"),
    validators: Mutex::default(),
});

pub(super) struct Document {
    pub(super) root: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation<'d> {
    pub(super) method: &'d str,
    pub(super) path: &'d str,
    pub(super) item: &'d Value,
    pub(super) of: &'d Value,
}

impl Document {
    /// Lists all operations.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in members(&self.root["paths"]) {
            for (method, of) in members(item).filter(|(name, _)| *name != "parameters") {
                operations.push(Operation {
                    method,
                    path,
                    item,
                    of,
                });
            }
        }
        operations
    }

    /// Returns the operation that a request reaches. HEAD goes with GET.
    pub(super) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let method = if method == "HEAD" { "GET" } else { method };
        let mut operations = self.operations().into_iter();
        operations.find(|it| it.method.to_uppercase() == method && it.is_at(path))
    }

    /// Returns whether the path is one of the document, whatever the method.
    pub(super) fn has_path(&self, path: &str) -> bool {
        self.operations().iter().any(|it| it.is_at(path))
    }

    /// Returns the value itself, or the one that it refers to.
    pub(super) fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        let Some(reference) = value["$ref"].as_str() else {
            return value;
        };
        let pointer = reference.strip_prefix('#').expect("a reference within");
        let found = self.root.pointer(pointer);
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// Lists what is wrong with a value by its schema.
    pub(super) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = Arc::clone(
            self.validators
                .lock()
                .expect("no validation has panicked")
                .entry(schema.to_string())
                .or_insert_with(|| Arc::new(self.compiled(schema))),
        );
        let errors = validator.iter_errors(value);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    /// Compiles a schema of the document.
    pub(super) fn compiled(&self, schema: &Value) -> Validator {
        let whole = json!({"allOf": [schema], "components": self.root["components"]});
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&whole)
            .unwrap_or_else(|error| panic!("{schema}: {error}"))
    }

    /// Lists what is wrong with an answer to the operation.
    pub(super) fn answer_faults(&self, operation: &Operation<'_>, answer: &Answer) -> Vec<String> {
        let status = answer.status.to_string();
        match operation.of["responses"].get(&status) {
            Some(response) => self.response_faults(self.resolved(response), answer),
            None => vec![format!("the status {status} is not documented")],
        }
    }

    /// Lists what is wrong with an answer by its description. Nothing but documented members may be
    /// in its body.
    pub(super) fn response_faults(&self, response: &Value, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, header) in members(&response["headers"]) {
            let header = self.resolved(header);
            match answer.header(name) {
                None if header["required"] == true => faults.push(format!("{name} is absent")),
                None => {}
                Some(text) => {
                    let number = text.parse::<u64>().ok();
                    let value = number.map_or_else(|| Value::from(text), Value::from);
                    faults.extend(self.faults(&header["schema"], &value));
                }
            }
        }
        if response.get("content").is_none() {
            faults.extend((!answer.body.is_empty()).then(|| "a body".to_owned()));
            return faults;
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let Some(media) = response["content"].get(kind) else {
            faults.push(format!("the content type {kind} is not documented"));
            return faults;
        };
        // An answer to HEAD has none.
        if !answer.body.is_empty() {
            match serde_json::from_slice(&answer.body) {
                Ok(body) => faults.extend(self.faults(&closed(&media["schema"]), &body)),
                Err(error) => faults.push(error.to_string()),
            }
        }
        faults
    }
}

impl Operation<'_> {
    /// Returns whether a path is this operation's, with or without the slash at its end.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let [mut own, mut other] =
            [self.path, path].map(|path| path.strip_suffix('/').unwrap_or(path).split('/'));
        loop {
            match (own.next(), other.next()) {
                (None, None) => return true,
                (Some(own), Some(other)) => {
                    let fits = own.starts_with('{') && !other.is_empty() || own == other;
                    if !fits {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }
}

/// Returns the schema of an object with no members but those that it names.
pub(super) fn closed(schema: &Value) -> Value {
    json!({"allOf": [schema], "unevaluatedProperties": false})
}

/// Lists the members of an object; none of another value.
pub(super) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().map(Map::iter).into_iter().flatten()
}
