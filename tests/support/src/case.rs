//! One case of the contract, from a file of raw requests and expected answers:
//!
//! ```text
//! ### what the case shows
//! POST /publish/allevents/ HTTP/1.1
//! Cookie: access_token={{token:alice}}
//!
//! {"envcustomerid":"acme"}
//! --- 200
//! Content-Type: application/json
//!
//! {"message":"Data published successfully"}
//! ```
//!
//! Text before the first `###` is commentary. The request is sent as it stands, its head's lines
//! ended by CR LF, with `Host` and `Content-Length` added where it does not say them. `--- 413
//! closed` expects the connection to end after the answer, `either` lets it; with neither word it
//! has to serve another request. Below the status stand headers: `Name: value` exact, `Name` alone
//! any value, `!Name` absent. The expected body is exact, but for `json: {…}`, compared as JSON
//! with `*` for any text that is not empty and arrays in any order, and `message: …`, an object
//! whose `message` contains these words in any case.

use std::fmt::Write;

use serde_json::Value;

use crate::answer::Answer;

/// The state of the connection after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It serves another request.
    Open,
    /// It ends in order.
    Closed,
    /// It may do either.
    Either,
}

/// A request and the answer that it has to get.
pub struct Case {
    /// The line that says what the case shows.
    pub name: String,
    head: String,
    body: String,
    status: u16,
    after: After,
    headers: Vec<String>,
    expected: String,
}

impl Case {
    /// Reads all cases of a file.
    pub fn parse_file(text: &str) -> Vec<Self> {
        text.split("\n### ").skip(1).map(Self::parse).collect()
    }

    fn parse(text: &str) -> Self {
        let (name, rest) = text.split_once('\n').expect("a case has a request");
        let (request, answer) = rest
            .split_once("\n--- ")
            .unwrap_or_else(|| panic!("{name}: no answer"));
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let (status_line, rest) = answer.split_once('\n').unwrap_or((answer, ""));
        let (status, mode) = status_line.split_once(' ').unwrap_or((status_line, "open"));
        let after = match mode {
            "open" => After::Open,
            "closed" => After::Closed,
            "either" => After::Either,
            other => panic!("{name}: neither open, closed nor either: {other}"),
        };
        let (headers, expected) = match rest.strip_prefix('\n') {
            Some(expected) => ("", expected),
            None => rest.split_once("\n\n").unwrap_or((rest, "")),
        };
        Self {
            name: name.to_owned(),
            head: head.trim_end().to_owned(),
            body: body.to_owned(),
            status: status
                .parse()
                .unwrap_or_else(|_| panic!("{name}: no status")),
            after,
            headers: headers
                .lines()
                .map(str::to_owned)
                .filter(|line| !line.is_empty())
                .collect(),
            expected: expected.trim_end().to_owned(),
        }
    }

    /// Returns the request's bytes for each form of its path: as written, and with the trailing
    /// slash added or taken away.
    pub fn requests(&self, expand: impl Fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
        let body = expand(&self.body);
        let (line, headers) = self.head.split_once('\n').unwrap_or((&self.head, ""));
        let mut head = headers
            .lines()
            .map(|line| format!("{line}\r\n"))
            .collect::<Vec<_>>()
            .concat();
        let says = |name: &str| {
            headers
                .lines()
                .any(|line| line.to_lowercase().starts_with(name))
        };
        if !says("host:") {
            head.push_str("Host: gateway\r\n");
        }
        if !says("content-length:")
            && !says("transfer-encoding:")
            && (!body.is_empty() || line.starts_with("POST"))
        {
            write!(head, "Content-Length: {}\r\n", body.len()).expect("a string takes text");
        }
        let of = |line: &str| [&expand(&format!("{line}\r\n{head}\r\n")), &*body].concat();
        vec![of(line), of(&other_path_form(line))]
    }

    /// Whether the request asks with HEAD.
    pub fn is_head(&self) -> bool {
        self.head.starts_with("HEAD ")
    }

    /// The state of the connection after the answer.
    pub fn after(&self) -> After {
        self.after
    }

    /// Lists the faults of an answer; none where it is as expected.
    pub fn faults(&self, answer: &Answer) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |holds: bool, what: String| {
            if !holds {
                faults.push(what);
            }
        };
        fault(
            answer.status == self.status,
            format!("status {} instead of {}", answer.status, self.status),
        );
        for name in ["Set-Cookie", "Location"] {
            fault(
                answer.header(name).is_none(),
                format!("{name} is never sent"),
            );
        }
        for line in &self.headers {
            fault(
                header_holds(answer, line),
                format!("header does not hold: {line}"),
            );
        }
        if !self.is_head() {
            fault(
                answer.header("content-type") == Some("application/json"),
                "not application/json".to_owned(),
            );
            fault(
                self.body_holds(answer),
                format!("body is not: {}", self.expected),
            );
        }
        faults
    }

    fn body_holds(&self, answer: &Answer) -> bool {
        let Ok(actual) = serde_json::from_slice::<Value>(&answer.body) else {
            return false;
        };
        if let Some(json) = self.expected.strip_prefix("json: ") {
            return alike(
                &serde_json::from_str(json).expect("an expected body is JSON"),
                &actual,
            );
        }
        if let Some(words) = self.expected.strip_prefix("message:") {
            let message = actual["message"]
                .as_str()
                .unwrap_or_default()
                .to_lowercase();
            return !message.is_empty() && message.contains(words.trim().to_lowercase().as_str());
        }
        answer.text() == self.expected
    }
}

fn header_holds(answer: &Answer, line: &str) -> bool {
    if let Some(name) = line.strip_prefix('!') {
        return answer.header(name).is_none();
    }
    match line.split_once(": ") {
        None => answer.header(line).is_some(),
        Some(("Allow", methods)) => answer.header("allow").map(as_set) == Some(as_set(methods)),
        Some((name, value)) => answer.header(name) == Some(value),
    }
}

fn as_set(list: &str) -> std::collections::BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}

fn alike(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), Value::String(text)) if any == "*" => !text.is_empty(),
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .all(|one| actual.iter().any(|other| alike(one, other)))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .all(|(key, one)| actual.get(key).is_some_and(|other| alike(one, other)))
        }
        _ => expected == actual,
    }
}

/// Returns a request line with the other form of its path: with or without the trailing slash.
fn other_path_form(line: &str) -> String {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
    else {
        panic!("not a request line: {line}")
    };
    let (path, query) = target
        .split_once('?')
        .map_or((target, String::new()), |(path, query)| {
            (path, format!("?{query}"))
        });
    let path = match path.strip_suffix('/') {
        Some("") => path.to_owned(),
        Some(bare) => bare.to_owned(),
        None => format!("{path}/"),
    };
    format!("{method} {path}{query} {version}")
}
