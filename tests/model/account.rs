//! An account of the records that a sink must hold, and the comparison with those it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::contract::Delivery;
use super::words::Kind;
use iem_test_support::{Line, email};

/// The number of times that a record may be at the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// Answered 200: exactly once.
    Once,
    /// Answered 503, or not at all: once or not.
    Perhaps,
    /// Refused, or told to be in vain.
    Never,
}

/// A record that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
    /// None where it was refused before anybody could say whose it is.
    pub(crate) delivery: Option<Delivery>,
    pub(crate) trace: Option<&'static str>,
    pub(crate) there: There,
    /// Sent and answered between these moments.
    pub(crate) sent: SystemTime,
    pub(crate) answered: SystemTime,
    /// Requests of one step have no order between them.
    pub(crate) step: usize,
    pub(crate) request: usize,
}

/// A record as a sink was given it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) data: Vec<u8>,
}

impl From<&iem_sink::Record> for Record {
    fn from(record: &iem_sink::Record) -> Self {
        let mut attributes = BTreeMap::new();
        record.for_each_attribute(|name, value| {
            drop(attributes.insert(name.to_owned(), value.to_owned()));
        });
        Self {
            attributes,
            data: record.data.to_vec(),
        }
    }
}

impl From<&Line> for Record {
    fn from(line: &Line) -> Self {
        let attributes = line
            .attributes
            .iter()
            .filter(|(name, _)| *name != "datacontenttype");
        Self {
            attributes: attributes
                .map(|(name, value)| {
                    let value = value.as_str().unwrap_or("not a string");
                    (name.clone(), value.to_owned())
                })
                .collect(),
            data: line.data.clone(),
        }
    }
}

impl Record {
    fn id(&self) -> &str {
        let text = std::str::from_utf8(&self.data).unwrap_or_default();
        let rest = text
            .split_once(r#""test_id":""#)
            .map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default()
    }
}

/// How the bytes of a record are to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    Exact,
    /// Without the white space between tokens, which the files drop in part.
    Tokens,
}

/// All records that were sent, in the order of their steps.
#[derive(Debug, Default)]
pub(crate) struct Books {
    entries: BTreeMap<String, Entry>,
}

impl Books {
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.insert(entry.id.clone(), entry);
    }

    /// How many must be there, may be there, and must not.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let of = |there| {
            self.entries
                .values()
                .filter(|entry| entry.there == there)
                .count()
        };
        [of(There::Once), of(There::Perhaps), of(There::Never)]
    }

    /// Fails unless `records` are what a sink's topic must hold.
    pub(crate) fn check(&self, kind: Kind, records: &[Record], bytes: Bytes) -> Result<(), String> {
        let (mut seen, mut ids) = (BTreeSet::new(), BTreeSet::new());
        let mut last: BTreeMap<&str, &Entry> = BTreeMap::new();
        for record in records {
            let topic = kind.topic();
            let entry = self.entries.get(record.id());
            let entry = entry
                .ok_or_else(|| format!("{topic} holds what nobody sent: {}", text(&record.data)))?;
            entry
                .is(kind, record, bytes)
                .map_err(|fault| format!("{} at {topic}: {fault}", entry.id))?;
            if !seen.insert(&entry.id) {
                return Err(format!("{} stands in {topic} twice", entry.id));
            }
            if !ids.insert(&record.attributes["id"]) {
                return Err(format!("{} has the id of another record", entry.id));
            }
            if entry.there == There::Once {
                let key = &record.attributes["subject"];
                let before = last
                    .insert(key, entry)
                    .filter(|before| entry.comes_before(before));
                if let Some(before) = before {
                    return Err(format!(
                        "{} stands behind {}, both of key {key}",
                        entry.id, before.id
                    ));
                }
            }
        }
        let mut must_be_there = self
            .entries
            .values()
            .filter(|entry| entry.kind == kind && entry.there == There::Once);
        match must_be_there.find(|entry| !seen.contains(&entry.id)) {
            Some(entry) => Err(format!(
                "{} was answered 200 and is not there: {}",
                entry.id,
                text(&entry.data)
            )),
            None => Ok(()),
        }
    }
}

impl Entry {
    /// Whether this was sent before another: of one request, or of an earlier step.
    fn comes_before(&self, other: &Self) -> bool {
        if (self.step, self.request) == (other.step, other.request) {
            number(&self.id) < number(&other.id)
        } else {
            self.step < other.step
        }
    }

    fn is(&self, kind: Kind, record: &Record, bytes: Bytes) -> Result<(), String> {
        if self.there == There::Never {
            return Err("it was refused, and is there".to_owned());
        }
        let delivery = self.delivery.as_ref().ok_or("nobody knows whose it is")?;
        let same = match bytes {
            Bytes::Exact => self.data == record.data,
            Bytes::Tokens => tokens(&self.data) == tokens(&record.data),
        };
        if !same {
            return Err(format!(
                "sent {}, there {}",
                text(&self.data),
                text(&record.data)
            ));
        }
        let mut attributes = record.attributes.clone();
        let expected = [
            ("specversion", Some("1.0")),
            ("source", Some("iem-gateway")),
            ("type", Some(kind.event_type())),
            ("subject", Some(&*delivery.key)),
            ("customerid", Some(delivery.customer)),
            ("user", Some(email(delivery.user))),
            ("integrationid", delivery.integration),
            ("actionablestate", delivery.state),
            ("traceparent", self.trace),
        ];
        for (name, value) in expected {
            let found = attributes.remove(name);
            if found.as_deref() != value {
                return Err(format!("its {name} is {found:?} and not {value:?}"));
            }
        }
        let id = attributes.remove("id").unwrap_or_default();
        if id.len() != 36 || id.as_bytes()[14] != b'7' {
            return Err(format!("its id is no UUIDv7: {id}"));
        }
        self.is_the_time(&attributes.remove("time").unwrap_or_default())?;
        if attributes.is_empty() {
            Ok(())
        } else {
            Err(format!("it has more: {attributes:?}"))
        }
    }

    fn is_the_time(&self, text: &str) -> Result<(), String> {
        let time = humantime::parse_rfc3339(text)
            .map_err(|error| format!("its time {text:?}: {error}"))?;
        // Told in whole milliseconds.
        let in_time = time + Duration::from_millis(1) >= self.sent && time <= self.answered;
        in_time
            .then_some(())
            .ok_or_else(|| format!("its time {text} is not when it was sent"))
    }
}

/// Ids are a letter and a number that rises.
fn number(id: &str) -> usize {
    id[1..].parse().expect("an id of the model")
}

/// The text without the white space between its tokens.
fn tokens(text: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let mut kept = Vec::with_capacity(text.len());
    for byte in text {
        if in_string || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            kept.push(*byte);
        }
        in_string ^= *byte == b'"' && !escaped;
        escaped = in_string && *byte == b'\\' && !escaped;
    }
    kept
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
