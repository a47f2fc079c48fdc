//! The tables of `docs/contract.md` against the cases of `tests/data/contract/`: a status and a
//! message stand in both, or in neither.

use std::fs;

use serde_json::Value;

use super::{files, read, root};

/// A status with a message. `*` in the message stands for any text.
struct Answer {
    status: u16,
    message: String,
    place: String,
}

/// Returns the answers that stand in the tables or in the cases alone.
pub(super) fn faults() -> Vec<String> {
    let (told, cases) = (table_answers(), case_answers());
    assert!(told.len() > 40, "{} answers in the tables", told.len());
    assert!(cases.len() > 300, "{} cases", cases.len());
    let source = source();
    let mut faults = Vec::new();
    // Answers of 304 have no body: prose tells them.
    for case in cases.iter().filter(|case| case.status != 304) {
        if !told.iter().any(|row| agree(row, case)) {
            faults.push(format!("{}: {} is in no table", case.place, case.message));
        }
    }
    // An answer that no case provokes, because it needs load or a fault, is in the source.
    for row in &told {
        let mut said = cases.iter().filter(|case| case.message != "*");
        if !said.any(|case| agree(row, case)) && !source.contains(longest_part(row)) {
            faults.push(format!("{} {} is in no case", row.status, row.message));
        }
    }
    faults
}

fn agree(row: &Answer, case: &Answer) -> bool {
    row.status == case.status && overlap(row.message.as_bytes(), case.message.as_bytes())
}

/// Whether two patterns with `*` have a text in common.
fn overlap(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            overlap(rest, other) || (!other.is_empty() && overlap(one, &other[1..]))
        }
        (_, [b'*', ..]) => overlap(other, one),
        ([a, one @ ..], [b, other @ ..]) => a.eq_ignore_ascii_case(b) && overlap(one, other),
        _ => false,
    }
}

/// Reads the rows of the contract's tables that have a status and a body of JSON.
fn table_answers() -> Vec<Answer> {
    let mut answers = Vec::new();
    for line in read("docs/contract.md")
        .lines()
        .filter(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let status = cells.iter().find_map(|cell| cell.get(..3)?.parse().ok());
        let body = cells
            .iter()
            .find_map(|cell| code_span(cell))
            .filter(|it| it.starts_with('{'));
        if let (Some(status), Some(body)) = (status, body) {
            answers.push(Answer {
                status,
                message: message(body),
                place: "docs/contract.md".to_owned(),
            });
        }
    }
    answers
}

/// Returns the code that a cell begins with.
fn code_span(cell: &str) -> Option<&str> {
    let code = cell.trim_start_matches('`');
    let fence = &cell[..cell.len() - code.len()];
    let end = code.find(fence).filter(|_| !fence.is_empty())?;
    Some(&code[..end])
}

/// Returns the member and its text, with `*` for each part in angle brackets; for a body without a
/// message, any text.
fn message(body: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{body}: {error}"));
    for member in ["message", "detail", "error_description"] {
        let Some(text) = json[member].as_str() else {
            continue;
        };
        let mut parts = text.split('<');
        let first = parts.next().unwrap_or_default().to_owned();
        let pattern = parts.fold(first, |pattern, part| {
            pattern + "*" + part.split_once('>').map_or("", |(_, rest)| rest)
        });
        return format!("{member}: {pattern}");
    }
    "*".to_owned()
}

fn longest_part(row: &Answer) -> &str {
    let text = row.message.split_once(": ").map_or("", |(_, text)| text);
    text.split('*')
        .max_by_key(|part| part.len())
        .unwrap_or_default()
}

/// Reads the answer that each case expects.
fn case_answers() -> Vec<Answer> {
    let folder = root().join("tests/data/contract");
    let mut answers = Vec::new();
    for file in files("http")
        .iter()
        .filter(|file| file.starts_with(&folder))
    {
        let text = fs::read_to_string(file).expect("a file of cases");
        for case in text.split("\n### ").skip(1) {
            let (request, answer) = case.split_once("\n--- ").expect("a case has an answer");
            let body = answer.trim_end().lines().last().unwrap_or_default();
            let body = if body.starts_with("json: ") { "" } else { body };
            let pattern = match body.strip_prefix("message:") {
                Some(words) if words.trim().is_empty() => "*".to_owned(),
                Some(words) => format!("message: *{}*", words.trim()),
                None if body.starts_with("{\"") => message(body),
                None => "*".to_owned(),
            };
            answers.push(Answer {
                status: answer[..3].parse().expect("a status"),
                message: pattern,
                place: request.lines().next().unwrap_or_default().to_owned(),
            });
        }
    }
    answers
}

/// Reads the source, with strings of several lines joined.
fn source() -> String {
    let folder = root().join("src");
    let mut whole = String::new();
    for file in files("rs").iter().filter(|file| file.starts_with(&folder)) {
        let text = fs::read_to_string(file).expect("a source file");
        for (index, part) in text.split("\\\n").enumerate() {
            whole.push_str(if index == 0 { part } else { part.trim_start() });
        }
    }
    whole
}

#[test]
fn patterns_overlap_where_a_text_fits_both() {
    let check = |one: &str, other: &str, expected: bool| {
        assert_eq!(
            overlap(one.as_bytes(), other.as_bytes()),
            expected,
            "{one} {other}"
        );
    };
    check("at byte *: *", "*byte 26: trailing comma*", true);
    check("Not found", "Not found", true);
    check("Not found", "*found", true);
    check("Not found", "*lost*", false);
    check("", "*", true);
}
