//! A record as one line: the JSON format of `CloudEvents` 1.0, structured mode, with the record's bytes as `data`.
//!
//! Never parses the data: it is valid JSON by contract, and only line breaks (with the indentation behind them) are
//! taken out of it. A raw line break cannot stand inside a JSON string (RFC 8259, section 7), so what goes is white
//! space between tokens.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use iem_sink::{DATA_CONTENT_TYPE, Record};

/// Appends the record's line, its `\n` included.
pub(crate) fn append_line(buffer: &mut Vec<u8>, record: &Record) {
    let mut before = b'{';
    record.for_each_attribute(|name, value| {
        append_attribute(buffer, before, name, value);
        before = b',';
    });
    append_attribute(buffer, before, "datacontenttype", DATA_CONTENT_TYPE);
    buffer.extend_from_slice(b",\"data\":");
    append_joined(buffer, &record.data);
    buffer.extend_from_slice(b"}\n");
}

fn append_attribute(buffer: &mut Vec<u8>, before: u8, name: &str, value: &str) {
    buffer.extend_from_slice(&[before, b'"']);
    buffer.extend_from_slice(name.as_bytes());
    buffer.extend_from_slice(b"\":");
    serde_json::to_writer(buffer, value).expect("a Vec takes every write, and a str is always JSON");
}

/// Appends the data without its line breaks and the spaces and tabs behind them.
fn append_joined(buffer: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    while let Some(line_break) = memchr::memchr2(b'\n', b'\r', rest) {
        let (line, space) = rest.split_at(line_break);
        buffer.extend_from_slice(line);
        let text = space.iter().position(|byte| !b"\n\r\t ".contains(byte));
        rest = &space[text.unwrap_or(space.len())..];
    }
    buffer.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use iem_sink::{Context, testing};

    use super::*;

    #[test]
    fn a_line_is_a_structured_cloud_event() {
        let mut record = testing::record("1001/a\"b", r#"{"b":1.0,"a":"\u00e9"}"#);
        record.id = std::str::FromStr::from_str("0199c0de-0000-7000-8000-000000000001").expect("a UUID");
        record.context = Arc::new(Context {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_372_120_123),
            integration: Some("snow".into()),
            ..Context::clone(&record.context)
        });
        let mut line = Vec::new();
        append_line(&mut line, &record);
        assert_eq!(
            String::from_utf8(line).expect("UTF-8"),
            concat!(
                r#"{"specversion":"1.0","id":"0199c0de-0000-7000-8000-000000000001","source":"iem-gateway","#,
                r#""type":"iem.event","time":"2026-11-22T18:28:40.123Z","subject":"1001/a\"b","#,
                r#""customerid":"1001","user":"api@example.com","integrationid":"snow","#,
                r#""datacontenttype":"application/json","data":{"b":1.0,"a":"\u00e9"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn only_line_breaks_and_indentation_are_dropped() {
        let cases = [
            ("{ \"a\" : 1 }", "{ \"a\" : 1 }"),
            ("{\n  \"a  b\": 1,\r\n\r\n\t\"c\":\t[ ]\n}", "{\"a  b\": 1,\"c\":\t[ ]}"),
            ("{}\n  ", "{}"),
            ("\n{}", "{}"),
        ];
        for (data, expected) in cases {
            let mut joined = Vec::new();
            append_joined(&mut joined, data.as_bytes());
            assert_eq!(String::from_utf8_lossy(&joined), expected);
        }
    }
}
