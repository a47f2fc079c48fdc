//! The page that shows the OpenAPI document, as HTML without a script. It is made from the document
//! alone, and says nothing of the gateway's state.

mod schema;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::html::{Html, Place};
use crate::http::api::DOCUMENT;
use schema::schema;

/// Returns the page. It is made when it is first asked for.
pub(super) fn page() -> Bytes {
    static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
        let document = serde_json::from_str(DOCUMENT).unwrap_or_default();
        Bytes::from(render(&document))
    });
    PAGE.clone()
}

/// An operation of the document.
struct Operation<'d> {
    method: String,
    path: &'d str,
    /// The parameters of all operations of the path.
    shared: &'d Value,
    of: &'d Value,
}

/// Returns the document as a page.
fn render(document: &Value) -> String {
    let mut html = Html::default();
    let info = &document["info"];
    html.begin(text(&info["title"]), "");
    html.markup("<body class=\"document\">\n<nav aria-label=\"Pages\"><a href=\"/\">Console</a></nav>\n<main>\n<h1>");
    html.text(&format!(
        "{} {}",
        text(&info["title"]),
        text(&info["version"])
    ));
    html.markup("</h1>\n");
    html.paragraphs(info["description"].as_str());
    let operations = operations(document);
    let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
    contents(&mut html, tags, &operations);
    for tag in tags {
        html.markup("<h2>");
        html.text(text(&tag["name"]));
        html.markup("</h2>\n");
        html.paragraphs(tag["description"].as_str());
        for operation in operations.iter().filter(|it| it.has(tag)) {
            call(&mut html, document, operation);
        }
    }
    components(&mut html, document);
    html.markup("</main>\n</body>\n</html>\n");
    html.into_string()
}

impl Operation<'_> {
    fn has(&self, tag: &Value) -> bool {
        members(&self.of["tags"]).any(|name| *name == tag["name"])
    }

    fn place(&self) -> Place<'_> {
        Place("call", text(&self.of["operationId"]))
    }

    fn title(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in object(&document["paths"]) {
        for (method, of) in item.as_object().into_iter().flatten() {
            if of.get("responses").is_some() {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path,
                    shared: &item["parameters"],
                    of,
                });
            }
        }
    }
    operations
}

/// Appends links to all operations.
fn contents(html: &mut Html, tags: &[Value], operations: &[Operation<'_>]) {
    html.markup("<nav>\n");
    for tag in tags {
        html.markup("<p>");
        html.text(text(&tag["name"]));
        html.markup("</p>\n<ul>\n");
        for operation in operations.iter().filter(|it| it.has(tag)) {
            html.markup("<li>");
            html.link(&operation.place(), &operation.title());
            html.markup(" ");
            html.text(text(&operation.of["summary"]));
            html.markup("</li>\n");
        }
        html.markup("</ul>\n");
    }
    html.markup("</nav>\n");
}

/// Appends an operation.
fn call(html: &mut Html, document: &Value, operation: &Operation<'_>) {
    let of = operation.of;
    html.markup("<section>\n");
    html.heading(&operation.place(), &operation.title());
    html.markup("<p><b>");
    html.text(text(&of["summary"]));
    html.markup("</b> ");
    html.code(text(&of["operationId"]));
    html.markup("</p>\n");
    html.paragraphs(of["description"].as_str());
    credentials(html, &of["security"]);
    let parameters: Vec<_> = members(operation.shared)
        .chain(members(&of["parameters"]))
        .collect();
    if !parameters.is_empty() {
        html.markup("<h4>Parameters</h4>\n<table>\n");
        for parameter in parameters {
            let parameter = resolved(document, parameter);
            let place = format!("{}, {}", text(&parameter["name"]), text(&parameter["in"]));
            described(html, &place, parameter);
        }
        html.markup("</table>\n");
    }
    if let Some(body) = of.get("requestBody") {
        html.markup("<h4>Body</h4>\n");
        let body = resolved(document, body);
        html.paragraphs(body["description"].as_str());
        content(html, document, &body["content"]);
    }
    html.markup("<h4>Answers</h4>\n<table>\n");
    for (status, answer) in object(&of["responses"]) {
        html.markup("<tr><td>");
        html.text(status);
        html.markup("</td><td>");
        let name = text(&answer["$ref"]).rsplit('/').next().unwrap_or_default();
        html.link(&Place("answer", name), name);
        html.markup("</td><td>");
        html.prose(text(&resolved(document, answer)["description"]));
        html.markup("</td></tr>\n");
    }
    html.markup("</table>\n</section>\n");
}

/// Appends the ways in which a client may show who it is.
fn credentials(html: &mut Html, security: &Value) {
    html.markup("<p>Credentials: ");
    let mut is_first = true;
    for way in members(security) {
        html.markup(if is_first { "" } else { " or " });
        is_first = false;
        match way.as_object().and_then(|way| way.keys().next()) {
            Some(name) => html.link(&Place("credentials", name), name),
            None => html.markup("none"),
        }
    }
    html.markup(if is_first { "none.</p>\n" } else { ".</p>\n" });
}

/// Appends a row for a parameter or a header.
fn described(html: &mut Html, name: &str, described: &Value) {
    html.markup("<tr><td>");
    html.code(name);
    if described["required"] == true {
        html.markup(" required");
    }
    html.markup("</td><td>");
    schema(html, &described["schema"]);
    html.markup("</td><td>");
    html.prose(text(&described["description"]));
    if let Some(example) = described.get("example") {
        html.markup(" Example: ");
        html.code(&example.to_string());
    }
    html.markup("</td></tr>\n");
}

/// Appends a body in each of its content types.
fn content(html: &mut Html, document: &Value, content: &Value) {
    for (kind, media) in object(content) {
        html.markup("<p>");
        html.code(kind);
        html.markup("</p>\n<div>");
        schema(html, &media["schema"]);
        html.markup("</div>\n");
        for (name, example) in object(&media["examples"]) {
            html.markup("<p>Example ");
            html.text(name);
            html.markup("</p>\n");
            html.example(&resolved(document, example)["value"]);
        }
    }
}

/// Appends what the operations refer to.
fn components(html: &mut Html, document: &Value) {
    let components = &document["components"];
    html.markup("<h2>Credentials</h2>\n");
    for (name, scheme) in object(&components["securitySchemes"]) {
        html.heading(&Place("credentials", name), name);
        html.paragraphs(scheme["description"].as_str());
    }
    html.markup("<h2>Answers</h2>\n");
    for (name, answer) in object(&components["responses"]) {
        html.heading(&Place("answer", name), name);
        html.paragraphs(answer["description"].as_str());
        html.markup("<table>\n");
        for (name, header) in object(&answer["headers"]) {
            described(html, name, resolved(document, header));
        }
        html.markup("</table>\n");
        content(html, document, &answer["content"]);
    }
    html.markup("<h2>Schemas</h2>\n");
    for (name, value) in object(&components["schemas"]) {
        html.heading(&Place("schema", name), name);
        html.markup("<div>");
        schema(html, value);
        html.markup("</div>\n");
    }
}

/// Returns the value itself, or the one of the document that it refers to.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let reference = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    reference
        .and_then(|it| document.pointer(it))
        .unwrap_or(value)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().map(Map::iter).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds markup to every text of a value, but for references.
    fn hostile(value: &Value) -> Value {
        match value {
            Value::String(text) if text.starts_with("#/") => value.clone(),
            Value::String(text) => format!("{text}<script>\"'&").into(),
            Value::Array(members) => members.iter().map(hostile).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), hostile(member)))
                .collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn no_text_of_the_document_is_markup() {
        let document = serde_json::from_str(DOCUMENT).expect("the document is JSON");
        let page = render(&hostile(&document));
        let plain = render(&document);
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;"));
        assert!(!page.contains("<script"));
        assert_eq!(page.matches('<').count(), plain.matches('<').count());
    }

    #[test]
    fn every_link_leads_to_a_place_on_the_page() {
        let page = render(&serde_json::from_str(DOCUMENT).expect("the document is JSON"));
        let links: Vec<_> = page.split("href=\"#").skip(1).collect();
        assert!(links.len() > 100, "{} links", links.len());
        for link in links {
            let place = link.split('"').next().expect("an end");
            assert!(page.contains(&format!("id=\"{place}\"")), "{place}");
        }
    }
}
