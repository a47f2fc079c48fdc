//! Request bodies: events of a given size, one or many in a body, compressed or not. The same call
//! makes the same bytes.

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// The body of a publish request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    pub form: Form,
    /// The size of each record.
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

/// The size of the usual event: the documentation's example without white space between its parts.
pub const EVENT_BYTES: usize = 540;

/// The size below which an event has only the fields that the gateway reads.
const ALL_FIELDS_BYTES: usize = 520;
/// The size above which an event has a nested history.
const HISTORY_BYTES: usize = 2048;

impl Body {
    /// One event of the usual size.
    pub const EVENT: Self = Self::one(EVENT_BYTES);

    /// Returns a body of one event.
    pub const fn one(record_bytes: usize) -> Self {
        Self {
            form: Form::One,
            record_bytes,
            coding: Coding::Plain,
        }
    }

    /// Returns a body of many events of the usual size.
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

    /// Returns the bytes before compression. Each number gives other events.
    pub fn plain(self, customer: &str, number: usize) -> Vec<u8> {
        let events =
            |count| (0..count).map(|index| event(customer, number + index, self.record_bytes));
        match self.form {
            Form::One => event(customer, number, self.record_bytes),
            Form::Array(count) => format!("[{}]", events(count).collect::<Vec<_>>().join(",")),
            Form::Lines(count) => events(count).map(|event| event + "\n").collect(),
        }
        .into_bytes()
    }

    /// Returns the bytes as they are sent.
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

/// Returns an event of exactly `size` bytes. Its ids depend on its number, so that events compress
/// as well as real ones.
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
    let length = size
        .checked_sub(empty.len())
        .unwrap_or_else(|| panic!("an event has at least {} bytes, not {size}", empty.len()));
    let text: String = "CPU above 95 % for 10 minutes; "
        .chars()
        .cycle()
        .take(length)
        .collect();
    format!(r#"{{{fields}{history},"description":"{text}"}}"#)
}

/// Returns the fields of the documentation's example but the last one.
fn all_fields(customer: &str, host: &str, random: u64) -> String {
    let time = format!("2026-04-16T{:02}:{:02}:00.254Z", random % 24, random % 60);
    format!(
        concat!(
            r#""parametercategory":"cpu","parametertype":"cpu","parametername":"cpu","#,
            r#""parameterid":"cpu","severity":"4","entity":"{host}","entityid":"{host}","#,
            r#""mappedentityid":"{host}","agentlocation":"Frankfurt","createdon":"{time}","#,
            r#""toolmanager":"prometheus","manageragent":"alertmanager","#,
            r#""datasourcename":"prometheus-eu","toolcustomerid":"acme","#,
            r#""envcustomerid":"{customer}","ieventid":"{random:016x}","#,
            r#""firstoccurrence":"{time}","splitby":"{host}_cpu""#,
        ),
        host = host,
        customer = customer,
        time = time,
        random = random,
    )
}

/// Returns a number that looks random (the last step of splitmix64).
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
