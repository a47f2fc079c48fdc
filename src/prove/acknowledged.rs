//! The file of acknowledged records: what a run was told is safe. It outlives the machine, and says
//! all that a later reading needs.
//!
//! # Format
//!
//! Lines of text. The first is a [`Header`] as a JSON object. Every other line is one of these:
//!
//! | line | meaning |
//! |---|---|
//! | `17 120` | record 120 of key 17 was answered 200 |
//! | `17 120 10` | records 120 to 129 of key 17 were, by one answer |
//! | `read` | a reading has begun that takes the records away from the backend (Pub/Sub) |
//!
//! Lines are only appended, in batches, each of which is synced before the next one. If the machine
//! dies, the last batch may be torn: a last line without its line break does not count, nor does a
//! line with a NUL, which is a block that was never written. Any other line is an error.

mod appender;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::mark::Batch;
use super::oracle::Limits;

pub use appender::{Appender, Recorder, append_reading};

/// The first member of a header. The number rises when older programs could misread the file.
const FORMAT: &str = "iem-gateway prove 1";

/// The longest line. A header has an offset for each partition.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The line that says that a reading has begun.
const READ: &str = "read";

/// The first line: the run, and where its records are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    format: String,
    /// The run's id, which its records carry.
    pub run: String,
    /// The kind of its records, such as `event`.
    pub kind: String,
    /// The backend and the topic, in words.
    pub topic: String,
    /// The time before the first record was sent, in milliseconds since 1970.
    pub begin_ms: u64,
    /// The most keys that the run may use.
    pub keys: u32,
    /// The most records that it may send.
    pub records: u32,
    /// The end of each partition before the first record was sent; only with Kafka.
    pub offsets: BTreeMap<i32, i64>,
}

impl Header {
    /// Makes the header of a run that begins now, without keys and records.
    pub fn new(run: String, kind: String, topic: String, now: SystemTime) -> Self {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        let begin_ms = since_epoch.unwrap_or_default().as_millis();
        Self {
            format: FORMAT.to_owned(),
            run,
            kind,
            topic,
            begin_ms: u64::try_from(begin_ms).unwrap_or(u64::MAX),
            keys: 0,
            records: 0,
            offsets: BTreeMap::new(),
        }
    }

    /// Returns the time before the first record was sent.
    pub fn begin(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.begin_ms)
    }

    /// Returns the bounds on the run's keys and numbers.
    pub fn limits(&self) -> Limits {
        Limits {
            keys: self.keys,
            numbers: self.records,
        }
    }
}

/// A line behind the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// These records were answered 200.
    Acknowledged(Batch),
    /// A reading has begun that takes the records away from the backend.
    Read,
}

/// The fault of a file of acknowledged records.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", .path.display())]
pub struct AcknowledgedError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("has no first line that tells a run: it is not a file of acknowledged records")]
    Header,
    #[error("line {0} is damaged")]
    Line(u64),
}

impl AcknowledgedError {
    fn new(path: &Path, fault: impl Into<Fault>) -> Self {
        Self {
            path: path.to_owned(),
            fault: fault.into(),
        }
    }
}

/// Reads a file: passes on its entries, in order, and returns its header.
pub fn read(path: &Path, each: impl FnMut(&Header, Entry)) -> Result<Header, AcknowledgedError> {
    let read = File::open(path)
        .map_err(Fault::Io)
        .and_then(|file| read_lines(BufReader::new(file), each));
    read.map_err(|fault| AcknowledgedError::new(path, fault))
}

/// Reads the header of a file.
pub fn read_header(path: &Path) -> Result<Header, AcknowledgedError> {
    let header = File::open(path)
        .map_err(Fault::Io)
        .and_then(|file| header(&mut BufReader::new(file), &mut Vec::new()));
    header.map_err(|fault| AcknowledgedError::new(path, fault))
}

fn header(source: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Header, Fault> {
    let first = next_line(source, line)?.ok_or(Fault::Header)?;
    let header: Header = serde_json::from_slice(first).map_err(|_| Fault::Header)?;
    if header.format == FORMAT {
        Ok(header)
    } else {
        Err(Fault::Header)
    }
}

fn read_lines(
    mut source: impl BufRead,
    mut each: impl FnMut(&Header, Entry),
) -> Result<Header, Fault> {
    let mut line = Vec::new();
    let header = header(&mut source, &mut line)?;
    let mut number = 1;
    while let Some(text) = next_line(&mut source, &mut line)? {
        number += 1;
        if text.contains(&0) {
            continue;
        }
        let entry = parse(text).ok_or(Fault::Line(number))?;
        each(&header, entry);
    }
    Ok(header)
}

/// Reads a line, without its line break. `None` at the end, and for a line without a line break.
fn next_line<'l>(
    source: &mut impl BufRead,
    line: &'l mut Vec<u8>,
) -> Result<Option<&'l [u8]>, io::Error> {
    line.clear();
    source.take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    Ok(line.strip_suffix(b"\n"))
}

fn parse(line: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(line).ok()?;
    if text == READ {
        return Some(Entry::Read);
    }
    let mut numbers = text.split(' ').map(str::parse);
    let key = numbers.next()?.ok()?;
    let first: u32 = numbers.next()?.ok()?;
    let count = match numbers.next() {
        Some(count) => count.ok()?,
        None => 1,
    };
    let numbers_end = first.checked_add(count)?;
    numbers
        .next()
        .is_none()
        .then_some(Entry::Acknowledged(Batch {
            key,
            numbers: first..numbers_end,
        }))
}

#[cfg(test)]
mod tests;
