//! What is sent: events of a size, alone or many in a body, compressed or not. The same call makes
//! the same bytes.

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// A publish call's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub form: Form,
    /// Of each record.
    pub record_bytes: usize,
    pub coding: Coding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    One,
    Array(usize),
    Lines(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coding {
    Plain,
    Gzip,
    Zstd,
}

/// The usual event: the example of the documentation, without the white space between its tokens.
pub const EVENT_BYTES: usize = 540;

/// Below this an event has only the fields that matter.
const ALL_FIELDS_BYTES: usize = 520;
/// Above this an event has a history, nested.
const HISTORY_BYTES: usize = 2048;

impl Body {
    /// One event.
    pub const EVENT: Self = Self::one(EVENT_BYTES);

    pub const fn one(record_bytes: usize) -> Self {
        Self {
            form: Form::One,
            record_bytes,
            coding: Coding::Plain,
        }
    }

    /// Many events of the usual size.
    pub const fn many(form: Form) -> Self {
        Self {
            form,
            ..Self::EVENT
        }
    }

    pub const fn encoded(self, coding: Coding) -> Self {
        Self { coding, ..self }
    }

    pub fn records(self) -> usize {
        match self.form {
            Form::One => 1,
            Form::Array(count) | Form::Lines(count) => count,
        }
    }

    pub fn content_type(self) -> &'static str {
        if matches!(self.form, Form::Lines(_)) {
            "application/x-ndjson"
        } else {
            "application/json"
        }
    }

    /// Its bytes before they are compressed. Of one event there are many, by number.
    pub fn plain(self, customer: &str, number: usize) -> Vec<u8> {
        let events =
            |count| (0..count).map(|place| event(customer, number + place, self.record_bytes));
        match self.form {
            Form::One => event(customer, number, self.record_bytes),
            Form::Array(count) => format!("[{}]", events(count).collect::<Vec<_>>().join(",")),
            Form::Lines(count) => events(count).map(|event| event + "\n").collect(),
        }
        .into_bytes()
    }

    /// Its bytes as they are sent.
    pub fn bytes(self, customer: &str, number: usize) -> Vec<u8> {
        let plain = self.plain(customer, number);
        match self.coding {
            Coding::Plain => plain,
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&plain).expect("memory takes bytes");
                encoder.finish().expect("memory takes bytes")
            }
            Coding::Zstd => zstd::encode_all(&plain[..], 0).expect("memory takes bytes"),
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.record_bytes {
            bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
            bytes => format!("{bytes} B"),
        };
        match self.form {
            Form::One => write!(f, "{size}")?,
            Form::Array(count) => write!(f, "array of {count} × {size}")?,
            Form::Lines(count) => write!(f, "{count} lines of {size}")?,
        }
        match self.coding {
            Coding::Plain => Ok(()),
            Coding::Gzip => f.write_str(", gzip"),
            Coding::Zstd => f.write_str(", zstd"),
        }
    }
}

/// An event of exactly `size` bytes. No two numbers have the same ids, as no two events in the
/// field do: a compressor finds in them what it would find there.
fn event(customer: &str, number: usize, size: usize) -> String {
    let random = scatter(number as u64);
    let host = format!("web-{:03}", random % 1000);
    let fields = if size < ALL_FIELDS_BYTES {
        format!(r#""severity":"4","entityid":"{host}","envcustomerid":"{customer}""#)
    } else {
        all_fields(customer, &host, random)
    };
    let mut history = Vec::new();
    while size > HISTORY_BYTES && (history.len() + 2) * 600 < size {
        history.push(format!(
            "{{{}}}",
            all_fields(customer, &host, scatter(random + history.len() as u64))
        ));
    }
    let history = if history.is_empty() {
        String::new()
    } else {
        format!(r#","history":[{}]"#, history.join(","))
    };
    let empty = format!(r#"{{{fields}{history},"description":""}}"#);
    let room = size.checked_sub(empty.len());
    let room =
        room.unwrap_or_else(|| panic!("an event of {} bytes for a size of {size}", empty.len()));
    let text: String = "CPU above 95 % for 10 minutes; "
        .chars()
        .cycle()
        .take(room)
        .collect();
    format!(r#"{{{fields}{history},"description":"{text}"}}"#)
}

/// The fields of the documentation's example but the last one.
fn all_fields(customer: &str, host: &str, random: u64) -> String {
    let time = format!("2026-04-16T{:02}:{:02}:00.254Z", random % 24, random % 60);
    format!(
        r#""parametercategory":"cpu","parametertype":"cpu","parametername":"cpu","parameterid":"cpu","severity":"4","entity":"{host}","entityid":"{host}","mappedentityid":"{host}","agentlocation":"Frankfurt","createdon":"{time}","toolmanager":"prometheus","manageragent":"alertmanager","datasourcename":"prometheus-eu","toolcustomerid":"acme","envcustomerid":"{customer}","ieventid":"{random:016x}","firstoccurrence":"{time}","splitby":"{host}_cpu""#
    )
}

/// A number that looks random (splitmix64's finish).
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
