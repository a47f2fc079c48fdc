//! The formatting of a record as one line: the JSON format of `CloudEvents` 1.0, structured mode,
//! with the record's bytes as `data`.
//!
//! Never parses the data. It is valid JSON by contract, and only line breaks, with the indentation
//! behind them, are removed from it. A JSON string cannot contain a raw line break (RFC 8259,
//! section 7), so only white space between tokens is removed.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use iem_sink::{Context, DATA_CONTENT_TYPE, Record};
use uuid::Uuid;

/// A buffer of lines. The text that a record shares with the previous one is not formatted again.
#[derive(Default)]
pub struct Lines {
    bytes: Vec<u8>,
    envelope: Envelope,
    /// The last record's time, and its text.
    time: Option<(SystemTime, String)>,
}

impl Lines {
    /// Appends the record's line, including its `\n`.
    pub fn append(&mut self, record: &Record) {
        let Self {
            bytes,
            envelope,
            time,
        } = self;
        if !envelope.fits(record) {
            envelope.update(record);
        }
        let received = record.context.time;
        let time = match time {
            Some((last, text)) if *last == received => text,
            other => &mut other.insert((received, record.context.time_text())).1,
        };
        let mut id = Uuid::encode_buffer();
        let id = record.id.hyphenated().encode_lower(&mut id);
        let [before_id, before_time, before_subject, before_data] = &envelope.parts;
        bytes.extend_from_slice(before_id);
        append_plain(bytes, id);
        bytes.extend_from_slice(before_time);
        append_plain(bytes, time);
        bytes.extend_from_slice(before_subject);
        append_string(bytes, &record.key);
        bytes.extend_from_slice(before_data);
        append_joined(bytes, &record.data);
        bytes.extend_from_slice(b"}\n");
    }

    /// Returns the lines.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes all lines, and frees the buffer's capacity beyond `kept_bytes`.
    pub fn clear(&mut self, kept_bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(kept_bytes);
    }

    #[cfg(test)]
    pub(crate) fn from_records<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut lines = Self::default();
        for record in records {
            lines.append(record);
        }
        lines
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The text of a line around its data and around the three attributes that differ from record to
/// record or from request to request.
#[derive(Default)]
struct Envelope {
    parts: [Vec<u8>; 4],
    common: Option<Common>,
}

/// The attributes that one user's records of one kind and customer share. They are compared by
/// address, and kept alive here so that no other string can get the same address.
struct Common {
    source: Arc<str>,
    kind: Cow<'static, str>,
    user: Arc<str>,
    customer: Arc<str>,
}

impl Envelope {
    /// Returns whether the record's line has the same text around its own attributes and data.
    fn fits(&self, record: &Record) -> bool {
        let Context {
            source,
            kind,
            user,
            integration,
            actionable_state,
            traceparent,
            rejection,
            time: _,
            digests: _,
        } = &*record.context;
        let optional = [integration, actionable_state, traceparent, rejection];
        let has_optional = optional.iter().any(|value| value.is_some());
        !has_optional
            && self.common.as_ref().is_some_and(|common| {
                Arc::ptr_eq(&common.source, source)
                    && common.kind == *kind
                    && Arc::ptr_eq(&common.user, user)
                    && Arc::ptr_eq(&common.customer, &record.customer)
            })
    }

    /// Takes the text from the record. Only a record without optional attributes can share it.
    fn update(&mut self, record: &Record) {
        self.parts.iter_mut().for_each(Vec::clear);
        let mut part = 0;
        let mut separator = b'{';
        let mut has_optional = false;
        let mut append = |name: &str, value: &str| {
            let text = &mut self.parts[part];
            text.extend_from_slice(&[separator, b'"']);
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            match name {
                "id" | "time" | "subject" => part += 1,
                _ => append_string(text, value),
            }
            has_optional |= matches!(
                name,
                "integrationid" | "actionablestate" | "traceparent" | "rejectionreason"
            );
            separator = b',';
        };
        record.for_each_attribute(&mut append);
        append("datacontenttype", DATA_CONTENT_TYPE);
        self.parts[3].extend_from_slice(b",\"data\":");
        self.common = (!has_optional).then(|| Common {
            source: record.context.source.clone(),
            kind: record.context.kind.clone(),
            user: record.context.user.clone(),
            customer: record.customer.clone(),
        });
    }
}

/// Appends a string that needs no escapes.
fn append_plain(buffer: &mut Vec<u8>, value: &str) {
    buffer.push(b'"');
    buffer.extend_from_slice(value.as_bytes());
    buffer.push(b'"');
}

fn append_string(buffer: &mut Vec<u8>, value: &str) {
    // Looks at all bytes, without an early exit, so that the compiler can vectorize the loop.
    let needs_escapes = value
        .bytes()
        .fold(false, |any, byte| any | needs_escape(byte));
    if needs_escapes {
        return serde_json::to_writer(buffer, value)
            .expect("a Vec accepts every write, and every str can be JSON");
    }
    append_plain(buffer, value);
}

fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
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
    fn a_line_is_a_cloud_event_in_structured_mode() {
        let mut record = testing::record("1001/a\"b", r#"{"b":1.0,"a":"\u00e9"}"#);
        record.id =
            std::str::FromStr::from_str("0199c0de-0000-7000-8000-000000000001").expect("a UUID");
        record.context = Arc::new(Context {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_372_120_123),
            integration: Some("snow".into()),
            ..Context::clone(&record.context)
        });
        assert_eq!(
            str::from_utf8(Lines::from_records([&record]).bytes()).expect("UTF-8"),
            concat!(
                r#"{"specversion":"1.0","id":"0199c0de-0000-7000-8000-000000000001","#,
                r#""source":"iem-gateway","type":"iem.event","#,
                r#""time":"2026-11-22T18:28:40.123Z","subject":"1001/a\"b","#,
                r#""customerid":"1001","user":"api@example.com","integrationid":"snow","#,
                r#""datacontenttype":"application/json","data":{"b":1.0,"a":"\u00e9"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn strings_are_escaped_as_serde_json_escapes_them() {
        let all: String = (0..=0x100).filter_map(char::from_u32).collect();
        for value in all
            .split_inclusive(|_| true)
            .chain(["", "plain", "a\"b", "a\\b", "a\nb", "Grüße", &all])
        {
            let mut buffer = Vec::new();
            append_string(&mut buffer, value);
            assert_eq!(
                String::from_utf8_lossy(&buffer),
                serde_json::to_string(value).expect("a string")
            );
        }
    }

    #[test]
    fn each_line_has_the_attributes_of_its_own_record() {
        let first = testing::record("1001/a", "{}");
        let second = Record {
            key: "1001/b".into(),
            ..first.clone()
        };
        let other = Record {
            customer: "1002".into(),
            ..second.clone()
        };
        let context = Context {
            user: "other@example.com".into(),
            ..Context::clone(&first.context)
        };
        let traced = Context {
            traceparent: Some("00-1-2-00".into()),
            ..context.clone()
        };
        let later = Context {
            time: context.time + Duration::from_secs(1),
            ..Context::clone(&first.context)
        };
        let with_context = |context: Context| Record {
            context: Arc::new(context),
            ..first.clone()
        };
        let context = with_context(context);
        let traced = with_context(traced);
        let later = with_context(later);
        let records = [
            &first, &second, &other, &context, &traced, &context, &first, &later, &first, &traced,
        ];
        let together = Lines::from_records(records);
        let alone: Vec<u8> = records
            .into_iter()
            .flat_map(|record| Lines::from_records([record]).bytes().to_vec())
            .collect();
        assert_eq!(
            String::from_utf8_lossy(together.bytes()),
            String::from_utf8_lossy(&alone)
        );
        assert!(
            alone.windows(8).any(|text| text == b"\"1001/b\"")
                && alone.windows(6).any(|text| text == b"\"1002\"")
        );
        assert!(alone.windows(7).any(|text| text == b"\"other@"));
    }

    #[test]
    fn only_line_breaks_and_indentation_are_removed() {
        let cases = [
            ("{ \"a\" : 1 }", "{ \"a\" : 1 }"),
            (
                "{\n  \"a  b\": 1,\r\n\r\n\t\"c\":\t[ ]\n}",
                "{\"a  b\": 1,\"c\":\t[ ]}",
            ),
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
