//! Reads a line as the record that it was written of: the inverse of [`Lines`](crate::Lines).

use std::sync::Arc;

use iem_sink::{Context, DATA_CONTENT_TYPE, Record};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The members of a line. A line with another one was written by somebody else, and would lose it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'l> {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    subject: Box<str>,
    customerid: String,
    user: String,
    integrationid: Option<Box<str>>,
    actionablestate: Option<Box<str>>,
    traceparent: Option<Box<str>>,
    rejectionreason: Option<Box<str>>,
    datacontenttype: String,
    #[serde(borrow)]
    data: &'l RawValue,
}

/// Returns the record of a line, with its data as it stands there.
///
/// # Errors
/// The reason why the line is no record. It has nothing of the line's data.
pub(crate) fn parse(line: &[u8]) -> Result<Record, String> {
    let members: Members = serde_json::from_slice(line).map_err(|error| explain(&error))?;
    if members.specversion != "1.0" || members.datacontenttype != DATA_CONTENT_TYPE {
        return Err(format!(
            "no CloudEvents 1.0 of {DATA_CONTENT_TYPE}: specversion {}, datacontenttype {}",
            members.specversion, members.datacontenttype
        ));
    }
    let data = members.data.get().as_bytes();
    if !data.starts_with(b"{") {
        return Err("its data is no JSON object".to_owned());
    }
    let id = members.id.parse();
    let time = humantime::parse_rfc3339(&members.time);
    Ok(Record {
        id: id.map_err(|_| format!("its id is no UUID: {}", members.id))?,
        context: Arc::new(Context {
            source: members.source.into(),
            kind: members.kind.into(),
            time: time.map_err(|_| format!("its time is not RFC 3339 in UTC: {}", members.time))?,
            user: members.user.into(),
            integration: members.integrationid,
            actionable_state: members.actionablestate,
            traceparent: members.traceparent,
            rejection: members.rejectionreason,
            digests: None,
        }),
        customer: members.customerid.into(),
        key: members.subject,
        data: data.to_vec().into(),
    })
}

/// Describes the error of a line: serde's words, and the byte instead of line and column.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    match error.column() {
        0 => reason.to_owned(),
        column => format!("{reason}, at byte {column}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use iem_sink::testing;

    use super::*;
    use crate::line::Lines;

    fn line(record: &Record) -> String {
        let bytes = Lines::from_records([record]).bytes().to_vec();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_record_that_was_written_and_read_is_the_same() {
        let mut record =
            testing::record("1001/a\"\u{1F600}", r#"{"b":1.0,"a":"\u00e9","n":1e400}"#);
        record.context = Arc::new(Context {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_372_120_123),
            ..Context::clone(&record.context)
        });
        let optional = Record {
            context: Arc::new(Context {
                integration: Some("snow".into()),
                actionable_state: Some("resolved".into()),
                traceparent: Some("00-1-2-00".into()),
                rejection: Some("larger than \"allowed\"".into()),
                ..Context::clone(&record.context)
            }),
            ..record.clone()
        };
        for record in [record, optional] {
            let read = parse(line(&record).as_bytes()).expect("a record");
            assert_eq!(read.data, record.data);
            assert_eq!(read.context.rejection, record.context.rejection);
            assert_eq!(line(&read), line(&record));
        }
    }

    #[test]
    fn a_line_that_is_no_record_is_told_why() {
        let good = line(&testing::record("1001/a", r#"{"a":1}"#));
        for (from, to, reason) in [
            ("\"1.0\"", "\"0.3\"", "specversion 0.3"),
            ("application/json", "text/plain", "text/plain"),
            ("\"subject\"", "\"sub\"", "unknown field `sub`"),
            ("\"user\":\"api@example.com\",", "", "missing field `user`"),
            ("{\"a\":1}", "[1]", "no JSON object"),
            ("{\"a\":1}", "{\"a\":", "at byte"),
            ("\"time\":\"2", "\"time\":\"x2", "RFC 3339"),
            ("\"id\":\"", "\"id\":\"x", "no UUID"),
            ("}\n", "", "EOF while parsing"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            let error = parse(bad.as_bytes()).expect_err(to);
            assert!(error.contains(reason), "{error}");
        }
    }
}
