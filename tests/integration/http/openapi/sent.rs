//! A request as the document sees it: method, path, content type and body.

use iem_test_support::find;
use serde_json::{Map, Value};

use super::document::{DOCUMENT, Operation};

/// A request.
pub(super) struct Sent<'r> {
    pub(super) method: &'r str,
    pub(super) path: &'r str,
    headers: &'r str,
    body: &'r [u8],
}

impl<'r> Sent<'r> {
    /// Reads a request; `None` where its head is no text.
    pub(super) fn parse(request: &'r [u8]) -> Option<Self> {
        let end = find(request, b"\r\n\r\n").expect("a head ends");
        let (line, headers) = str::from_utf8(&request[..end]).ok()?.split_once("\r\n")?;
        let mut line = line.split(' ');
        let (method, target) = (line.next()?, line.next()?);
        let path = target.strip_prefix("http://gateway").unwrap_or(target);
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        Some(Self {
            method,
            path,
            headers,
            body: &request[end + 4..],
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        let (_, value) = headers.find(|(sent, _)| sent.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Lists what is wrong with the body by the document; `None` where it cannot be told: the body
    /// is encoded, or the tests' own parser does not take it.
    pub(super) fn faults(&self, operation: &Operation<'_>) -> Option<Vec<String>> {
        let body = DOCUMENT.resolved(&operation.of["requestBody"]);
        if body.is_null() {
            return Some(Vec::new());
        }
        if self
            .header("content-encoding")
            .is_some_and(|it| it != "identity")
        {
            return None;
        }
        let content = &body["content"];
        let named = self.header("content-type").unwrap_or_default();
        let named = named
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        let form = "application/x-www-form-urlencoded";
        if let Some(media) = content.get(form) {
            return Some(DOCUMENT.faults(&media["schema"], &form_fields(self.body)));
        }
        let is_lines = named == "application/x-ndjson" && content.get(&named).is_some();
        let schema = if is_lines {
            let of_one = ["application/cloudevents+json", "application/json"];
            of_one.iter().find_map(|media| content.get(media))
        } else {
            // Any content type that has no form of its own is read as JSON.
            let media = content.get(&named);
            media.or_else(|| content.get("application/json"))
        };
        let schema = &schema?["schema"];
        let text = str::from_utf8(self.body).ok()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if is_lines {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            return lines
                .map(|line| Some(DOCUMENT.faults(schema, &parsed(line)?)))
                .try_fold(Vec::new(), |faults, more| Some([faults, more?].concat()));
        }
        Some(DOCUMENT.faults(schema, &parsed(text)?))
    }
}

/// Returns the fields of a form. An empty one counts as none.
fn form_fields(body: &[u8]) -> Value {
    let fields = form_urlencoded::parse(body).filter(|(_, value)| !value.is_empty());
    let fields: Map<_, _> = fields
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
        .collect();
    fields.into()
}

/// Returns the JSON of a text; `None` where serde's values cannot hold it, as numbers beyond 64
/// bits and deep nesting.
fn parsed(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let error = error.to_string();
            let limits = ["number out of range", "recursion limit exceeded"];
            let is_limit = limits.iter().any(|limit| error.starts_with(limit));
            assert!(is_limit, "{error}: {text}");
            None
        }
    }
}
