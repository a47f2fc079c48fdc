//! A record as one line: the JSON format of `CloudEvents` 1.0, structured mode, with the record's
//! bytes as `data`.
//!
//! Never parses the data: it is valid JSON by contract, and only line breaks (with the indentation
//! behind them) are taken out of it. A raw line break cannot stand inside a JSON string (RFC 8259,
//! section 7), so what goes is white space between tokens.
//!
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.

use std::sync::Arc;
use std::time::SystemTime;

use iem_sink::{Context, DATA_CONTENT_TYPE, Record};
use uuid::Uuid;

/// Lines, one behind another. What records have in common with the one before is not made anew.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    envelope: Envelope,
    /// The last record's time, and how it is written.
    time: Option<(SystemTime, String)>,
}

impl Lines {
    /// Appends the record's line, its `\n` included.
    pub(crate) fn append(&mut self, record: &Record) {
        let Self {
            bytes,
            envelope,
            time,
        } = self;
        if !envelope.is_of(record) {
            envelope.take_from(record);
        }
        let time = match time {
            Some((last, text)) if *last == record.context.time => text,
            other => {
                &mut other
                    .insert((record.context.time, record.context.time_text()))
                    .1
            }
        };
        let [before_id, before_time, before_subject, before_data] = &envelope.parts;
        bytes.extend_from_slice(before_id);
        append_plain(
            bytes,
            record
                .id
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        );
        bytes.extend_from_slice(before_time);
        append_plain(bytes, time);
        bytes.extend_from_slice(before_subject);
        append_string(bytes, &record.key);
        bytes.extend_from_slice(before_data);
        append_joined(bytes, &record.data);
        bytes.extend_from_slice(b"}\n");
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all lines, and gives back what the buffer holds beyond `keep` bytes.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
    }

    #[cfg(test)]
    pub(crate) fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut lines = Self::default();
        records.into_iter().for_each(|record| lines.append(record));
        lines
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A line's text around the three attributes that are each record's or request's own, and before
/// its data.
#[derive(Default)]
struct Envelope {
    parts: [Vec<u8>; 4],
    of: Option<Common>,
}

/// What one user's records of one kind and customer have in common. Held, so that nothing else
/// comes to stand at the same address.
struct Common {
    source: Arc<str>,
    kind: &'static str,
    user: Arc<str>,
    customer: Arc<str>,
}

impl Envelope {
    fn is_of(&self, record: &Record) -> bool {
        let Context {
            source,
            kind,
            user,
            integration,
            actionable_state,
            traceparent,
            time: _,
        } = &*record.context;
        let seldom = [integration, actionable_state, traceparent];
        self.of.as_ref().is_some_and(|common| {
            Arc::ptr_eq(&common.source, source)
                && common.kind == *kind
                && Arc::ptr_eq(&common.user, user)
                && Arc::ptr_eq(&common.customer, &record.customer)
        }) && seldom.iter().all(|attribute| attribute.is_none())
    }

    fn take_from(&mut self, record: &Record) {
        self.parts.iter_mut().for_each(Vec::clear);
        let (mut part, mut before, mut seldom) = (0, b'{', false);
        let mut append = |name: &str, value: &str| {
            let text = &mut self.parts[part];
            text.extend_from_slice(&[before, b'"']);
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            match name {
                "id" | "time" | "subject" => part += 1,
                _ => append_string(text, value),
            }
            seldom |= matches!(name, "integrationid" | "actionablestate" | "traceparent");
            before = b',';
        };
        record.for_each_attribute(&mut append);
        append("datacontenttype", DATA_CONTENT_TYPE);
        self.parts[3].extend_from_slice(b",\"data\":");
        let Context {
            source, kind, user, ..
        } = &*record.context;
        let (source, user, customer) = (
            Arc::clone(source),
            Arc::clone(user),
            Arc::clone(&record.customer),
        );
        self.of = (!seldom).then_some(Common {
            source,
            kind,
            user,
            customer,
        });
    }
}

/// Appends a string that needs no escape.
fn append_plain(buffer: &mut Vec<u8>, value: &str) {
    buffer.push(b'"');
    buffer.extend_from_slice(value.as_bytes());
    buffer.push(b'"');
}

fn append_string(buffer: &mut Vec<u8>, value: &str) {
    // All bytes, without a way out: so that several are looked at together.
    let escapes = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if value.bytes().fold(false, |any, byte| any | escapes(byte)) {
        return serde_json::to_writer(buffer, value)
            .expect("a Vec takes every write, and a str is always JSON");
    }
    append_plain(buffer, value);
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
        record.id =
            std::str::FromStr::from_str("0199c0de-0000-7000-8000-000000000001").expect("a UUID");
        record.context = Arc::new(Context {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_372_120_123),
            integration: Some("snow".into()),
            ..Context::clone(&record.context)
        });
        assert_eq!(
            str::from_utf8(Lines::of([&record]).bytes()).expect("UTF-8"),
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
    fn strings_are_what_serde_json_makes_of_them() {
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
    fn each_record_has_its_own_request_and_customer() {
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
        let of = |context: &Context| Record {
            context: Arc::new(context.clone()),
            ..first.clone()
        };
        let (context, traced, later) = (of(&context), of(&traced), of(&later));
        let records = [
            &first, &second, &other, &context, &traced, &context, &first, &later, &first, &traced,
        ];
        let together = Lines::of(records);
        let alone: Vec<u8> = records
            .into_iter()
            .flat_map(|record| Lines::of([record]).bytes().to_vec())
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
    fn only_line_breaks_and_indentation_are_dropped() {
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
