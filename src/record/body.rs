//! A body to its records: one JSON object, an array of them, or one a line. Each record is a slice
//! of the body.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::key::KeyFields;
use super::malformed::Malformed;
use super::parse::{Parsed, parse, parsed, wanted};
use super::{scan, text};

/// How records stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, or an array of them.
    Json,
    /// NDJSON: one JSON object a line. Lines may end in CR LF, the last one may lack its end, blank
    /// ones are skipped.
    Lines,
}

/// One record of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRecord {
    /// What the gateway reads of it.
    pub parsed: Parsed,
    /// Its bytes.
    pub data: Bytes,
}

/// All records of a body, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedBody {
    /// In the body's order.
    pub records: SmallVec<[ParsedRecord; 1]>,
    /// Whether a record is told of by its index: the body is one that may hold several.
    pub indexed: bool,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It holds more records than are wanted.
    #[error("the body holds too many records")]
    TooMany,
    /// It, or one of its records, is not what it must be.
    #[error("{malformed}")]
    Malformed {
        /// The record's index from 0, counted without blank lines, where the fault is with one.
        record: Option<usize>,
        /// What is wrong. Bytes are counted from the body's beginning.
        malformed: Malformed,
    },
}

/// Reads all records of a body, at most `max`. The body holds no byte order mark any more, see
/// [`without_bom`](super::without_bom).
///
/// # Errors
/// The first thing that is wrong with the whole body's grammar; if nothing is, the first record
/// that is none.
pub fn parse_body(
    body: &Bytes,
    form: Form,
    key_fields: &KeyFields,
    max: usize,
) -> Result<ParsedBody, BodyFault> {
    let reader = Reader {
        body,
        key_fields,
        max,
        records: SmallVec::new(),
        count: 0,
        fault: None,
    };
    match form {
        Form::Lines => reader.lines(),
        Form::Json if trimmed(body).first() == Some(&b'[') => reader.array(),
        Form::Json => reader.single(),
    }
}

/// Reads one record after another.
struct Reader<'b> {
    body: &'b Bytes,
    key_fields: &'b KeyFields,
    max: usize,
    records: SmallVec<[ParsedRecord; 1]>,
    /// Records so far, good or bad.
    count: usize,
    /// The first record that is JSON, but no record: what follows may not even be JSON, which
    /// comes before.
    fault: Option<BodyFault>,
}

impl<'b> Reader<'b> {
    fn single(self) -> Result<ParsedBody, BodyFault> {
        let parsed =
            parse(self.body, self.key_fields).map_err(|malformed| BodyFault::Malformed {
                record: None,
                malformed,
            })?;
        let record = ParsedRecord {
            parsed,
            data: self.body.clone(),
        };
        Ok(ParsedBody {
            records: smallvec![record],
            indexed: false,
        })
    }

    fn lines(mut self) -> Result<ParsedBody, BodyFault> {
        let body: &'b [u8] = self.body;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', body).chain([body.len()]) {
            let line = trimmed(&body[start..end]);
            start = end + 1;
            if !line.is_empty() {
                self.read(line)?;
            }
        }
        self.end()
    }

    fn array(mut self) -> Result<ParsedBody, BodyFault> {
        let body: &'b [u8] = self.body;
        let all = scan::array(body, wanted(self.key_fields), |element, fields| {
            self.count += 1;
            if self.count > self.max {
                return None;
            }
            let (parsed, data) = (parsed(fields).ok()?, self.body.slice_ref(element));
            self.records.push(ParsedRecord { parsed, data });
            Some(())
        });
        match all {
            Some(()) => self.end(),
            None if self.count > self.max => Err(BodyFault::TooMany),
            None => self.array_by_text(),
        }
    }

    /// As [`array`](Self::array), of any array, and able to say what is wrong with it.
    fn array_by_text(mut self) -> Result<ParsedBody, BodyFault> {
        (self.count, self.fault) = (0, None);
        self.records.clear();
        let elements = text::elements(self.body, self.max)
            .map_err(|(record, malformed)| BodyFault::Malformed { record, malformed })?;
        for element in elements {
            self.read(element)?;
        }
        self.end()
    }

    /// Reads one record, a slice of the body without white space around.
    fn read(&mut self, record: &'b [u8]) -> Result<(), BodyFault> {
        let index = self.count;
        self.count += 1;
        if self.count > self.max {
            return Err(BodyFault::TooMany);
        }
        let fault = |malformed| BodyFault::Malformed {
            record: Some(index),
            malformed,
        };
        match parse(record, self.key_fields) {
            Ok(parsed) if self.fault.is_none() => {
                self.records.push(ParsedRecord {
                    parsed,
                    data: self.body.slice_ref(record),
                });
            }
            Ok(_) => {}
            Err(malformed) => {
                let syntax = if malformed.is_of_syntax() {
                    Err(malformed.clone())
                } else {
                    text::check(record)
                };
                let before = record.as_ptr().addr() - self.body.as_ptr().addr();
                syntax.map_err(|malformed| fault(malformed.moved(before)))?;
                self.fault.get_or_insert(fault(malformed));
            }
        }
        Ok(())
    }

    fn end(self) -> Result<ParsedBody, BodyFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None if self.records.is_empty() => Err(BodyFault::Malformed {
                record: None,
                malformed: Malformed::NoRecord,
            }),
            None => Ok(ParsedBody {
                records: self.records,
                indexed: true,
            }),
        }
    }
}

/// The text without the white space around it, as RFC 8259 has it, section 2.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..]
    | [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
