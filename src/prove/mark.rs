//! The marks of records: run, key and number, as a member of the record. A record is found by the
//! text of its mark, because its bytes leave the gateway as they came.

use std::fmt::{self, Write};
use std::ops::Range;

use memchr::memmem::Finder;
use serde_json::Value;

/// The name of the member that is the mark.
const MEMBER: &str = "prove";

/// A record of a run: its key, and its number within the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The key, counted from 0.
    pub key: u32,
    /// The number within the key, counted from 0. The records of a key are sent in this order.
    pub number: u32,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key, self.number)
    }
}

/// Records that follow one another within a key, and go in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The key.
    pub key: u32,
    /// The numbers of the records.
    pub numbers: Range<u32>,
}

/// The text of a run's records around their marks.
#[derive(Clone, Debug)]
pub struct Template {
    run: String,
    /// Up to the value of the key's field.
    head: String,
    has_key_field: bool,
    /// Behind the mark.
    tail: String,
}

impl Template {
    /// Makes the text for records of a customer. `key_field` is the field that the topic takes the
    /// ordering key from, if it takes one; each record has `padding_bytes` of padding.
    pub fn new(run: &str, customer: &str, key_field: Option<&str>, padding_bytes: usize) -> Self {
        let customer = Value::from(customer);
        let field = key_field.map_or(String::new(), |field| format!("{}:", Value::from(field)));
        let head = format!(r#"{{"envcustomerid":{customer},{field}"#);
        Self {
            run: run.to_owned(),
            head,
            has_key_field: key_field.is_some(),
            tail: format!(r#"","padding":"{}"}}"#, "x".repeat(padding_bytes)),
        }
    }

    /// Returns the body of a request: one record, or one a line.
    pub fn body(&self, batch: &Batch) -> String {
        let mut body = String::new();
        for number in batch.numbers.clone() {
            self.append(
                &mut body,
                Mark {
                    key: batch.key,
                    number,
                },
            );
            if batch.numbers.len() > 1 {
                body.push('\n');
            }
        }
        body
    }

    fn append(&self, body: &mut String, mark: Mark) {
        let Self { run, tail, .. } = self;
        body.push_str(&self.head);
        let written = if self.has_key_field {
            write!(
                body,
                r#""prove-{run}-{}","{MEMBER}":"{run}/{mark}"#,
                mark.key
            )
        } else {
            write!(body, r#""{MEMBER}":"{run}/{mark}"#)
        };
        written.expect("a string takes text");
        body.push_str(tail);
    }
}

/// Finds the marks of one run.
pub struct MarkFinder(Finder<'static>);

impl MarkFinder {
    /// Makes a finder of a run's marks.
    pub fn new(run: &str) -> Self {
        let text = format!(r#""{MEMBER}":"{run}/"#);
        Self(Finder::new(text.as_bytes()).into_owned())
    }

    /// Returns the mark of a record. `None` if the record is not one of this run.
    pub fn find(&self, record: &[u8]) -> Option<Mark> {
        let at = self.0.find(record)? + self.0.needle().len();
        let (key, rest) = number(&record[at..])?;
        let (number, rest) = number(rest.strip_prefix(b"/")?)?;
        rest.starts_with(b"\"").then_some(Mark { key, number })
    }
}

/// Reads the decimal number that a text begins with.
fn number(text: &[u8]) -> Option<(u32, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let digits = std::str::from_utf8(&text[..end]).ok()?;
    Some((digits.parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{KeyFields, parse};

    fn batch(key: u32, numbers: Range<u32>) -> Batch {
        Batch { key, numbers }
    }

    #[test]
    fn a_record_has_customer_key_mark_and_padding() {
        let template = Template::new("r1", "ac\"me", Some("splitby"), 3);
        let body = template.body(&batch(7, 5..6));
        let expected =
            r#"{"envcustomerid":"ac\"me","splitby":"prove-r1-7","prove":"r1/7/5","padding":"xxx"}"#;
        assert_eq!(body, expected);
        let parsed = parse(body.as_bytes(), &KeyFields::from(&["splitby"][..])).expect("a record");
        assert_eq!(&*parsed.into_key(), "ac\"me/prove-r1-7");
    }

    #[test]
    fn several_records_are_one_a_line_and_found_again() {
        let template = Template::new("r1", "acme", None, 0);
        let body = template.body(&batch(1, 8..11));
        let finder = MarkFinder::new("r1");
        let lines: Vec<_> = body.lines().collect();
        for (line, number) in lines.iter().zip(8..) {
            serde_json::from_str::<Value>(line).expect("a record");
            assert_eq!(finder.find(line.as_bytes()), Some(Mark { key: 1, number }));
        }
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn only_whole_marks_of_the_run_are_found() {
        let finder = MarkFinder::new("r1");
        for text in [
            "",
            r#"{"prove":"r2/1/2"}"#,
            r#"{"prove":"r1/1"}"#,
            r#"{"prove":"r1/1/2"#,
            r#"{"prove":"r1/1/99999999999"}"#,
            r#"{"prove":"r1//2"}"#,
        ] {
            assert_eq!(finder.find(text.as_bytes()), None, "{text}");
        }
        let found = finder.find(br#"{"a":1,"prove":"r1/1/2"}"#);
        assert_eq!(found, Some(Mark { key: 1, number: 2 }));
    }
}
