//! A JSON Schema in words: its type, its bounds, its choices and its fields.

use serde_json::{Map, Value};

use crate::admin::html::{Html, Place};

/// Keywords that are told by their names and values.
const BOUNDS: [&str; 7] = [
    "format",
    "pattern",
    "minimum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];
const CHOICES: [(&str, &str); 3] = [
    ("oneOf", "One of:"),
    ("anyOf", "Any of:"),
    ("allOf", "All of:"),
];

/// Appends a schema. A reference is a link to the schema that it names.
pub(super) fn schema(html: &mut Html, value: &Value) {
    let Some(keywords) = value.as_object() else {
        html.code(&value.to_string());
        return;
    };
    if let Some(reference) = value["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        html.link(&Place("schema", name), name);
        return;
    }
    kind(html, keywords);
    for bound in BOUNDS {
        if let Some(value) = keywords.get(bound) {
            html.text(&format!(" {bound} "));
            html.code(&plain(value));
        }
    }
    if let Some(description) = keywords.get("description").and_then(Value::as_str) {
        html.markup(" ");
        html.prose(description);
    }
    for (keyword, words) in CHOICES {
        if let Some(choices) = keywords.get(keyword).and_then(Value::as_array) {
            html.markup("<div>");
            html.text(words);
            html.markup("<ul>");
            for choice in choices {
                html.markup("<li>");
                schema(html, choice);
                html.markup("</li>");
            }
            html.markup("</ul></div>");
        }
    }
    fields(html, keywords);
}

/// Appends the type, or the values that there are.
fn kind(html: &mut Html, keywords: &Map<String, Value>) {
    if let Some(constant) = keywords.get("const") {
        html.code(&constant.to_string());
    }
    let values = keywords.get("enum").and_then(Value::as_array);
    let types = match keywords.get("type") {
        Some(Value::Array(types)) => &**types,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    if let Some(values) = values {
        one_of(html, values.iter().map(Value::to_string));
    } else {
        one_of(html, types.iter().map(plain));
    }
    if let Some(items) = keywords.get("items") {
        html.markup(" of ");
        schema(html, items);
    }
}

fn one_of(html: &mut Html, words: impl Iterator<Item = String>) {
    for (index, word) in words.enumerate() {
        if index > 0 {
            html.markup(" or ");
        }
        html.code(&word);
    }
}

/// Appends the fields of an object, and those that it must have.
fn fields(html: &mut Html, keywords: &Map<String, Value>) {
    let required = keywords.get("required").and_then(Value::as_array);
    let Some(properties) = keywords.get("properties").and_then(Value::as_object) else {
        if let Some(names) = required {
            html.markup(" with ");
            one_of(html, names.iter().map(plain));
        }
        return;
    };
    html.markup("<table>");
    for (name, field) in properties {
        html.markup("<tr><td>");
        html.code(name);
        if required.is_some_and(|names| names.iter().any(|it| it == name)) {
            html.markup(" required");
        }
        html.markup("</td><td>");
        schema(html, field);
        html.markup("</td></tr>\n");
    }
    html.markup("</table>");
}

/// Returns a string without its quotes, and other JSON as it is.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value, expected: &str) {
        let mut html = Html::default();
        schema(&mut html, value);
        assert_eq!(html.into_string(), expected, "{value}");
    }

    #[test]
    fn a_schema_is_told_in_words() {
        check(
            &json!({"$ref": "#/components/schemas/Event"}),
            r##"<a href="#schema-Event">Event</a>"##,
        );
        check(
            &json!({"type": ["string", "integer"], "minLength": 1}),
            "<code>string</code> or <code>integer</code> minLength <code>1</code>",
        );
        check(
            &json!({"type": "array", "items": {"const": "<"}}),
            "<code>array</code> of <code>&quot;&lt;&quot;</code>",
        );
        check(
            &json!({"anyOf": [{"required": ["a"]}, true]}),
            "<div>Any of:<ul><li> with <code>a</code></li><li><code>true</code></li></ul></div>",
        );
        check(
            &json!({"required": ["<a>"], "properties": {"<a>": {"description": "`<b>`"}}}),
            "<table><tr><td><code>&lt;a&gt;</code> required</td><td> \
             <code>&lt;b&gt;</code></td></tr>\n</table>",
        );
    }
}
