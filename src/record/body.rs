//! Cuts a body into its records: one JSON object, an array of them, or one a line. Each record is a
//! slice of the body.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::key::KeyFields;
use super::malformed::Malformed;
use super::parse::{Parsed, parse, parse_by_text, parsed, wanted};
use super::{tape, text};

/// The form in which a body holds its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object, or an array of them.
    Json,
    /// NDJSON: one JSON object a line. Lines may end in CR LF, the last line may lack its end, and
    /// blank lines are skipped.
    Lines,
}

/// One record of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRecord {
    /// Its customer and its ordering key.
    pub parsed: Parsed,
    /// Its bytes.
    pub data: Bytes,
}

/// All records of a body, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedBody {
    /// The records in the body's order.
    pub records: SmallVec<[ParsedRecord; 1]>,
    /// Whether answers name a record by its index, because the body may hold several.
    pub indexed: bool,
}

/// The error of a body that is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The body has more records than the topic can hold.
    #[error("the body holds too many records")]
    TooMany,
    /// The body is not valid, or one of its records is not.
    #[error("{malformed}")]
    Malformed {
        /// The index of the bad record, from 0 and without blank lines; `None` if the fault is the
        /// body's.
        record: Option<usize>,
        /// The fault. Bytes are counted from the beginning of the body.
        malformed: Malformed,
    },
}

/// Returns the records of a body, at most `max`. The body must not begin with a byte order mark, see
/// [`without_bom`](super::without_bom).
///
/// # Errors
/// The first fault in the grammar of the whole body; without one, the fault of the first record that
/// is not valid.
pub fn parse_body(
    body: &Bytes,
    form: Form,
    key_fields: &KeyFields,
    max: usize,
) -> Result<ParsedBody, BodyFault> {
    Reader::new(body, key_fields, max, Method::Tape).read(form)
}

/// Returns what [`parse_body`] returns, without simd-json: slower, and in little memory beside the
/// records.
///
/// # Errors
/// Those of [`parse_body`].
pub fn parse_body_by_text(
    body: &Bytes,
    form: Form,
    key_fields: &KeyFields,
    max: usize,
) -> Result<ParsedBody, BodyFault> {
    Reader::new(body, key_fields, max, Method::Text).read(form)
}

/// Returns a bound on the bytes that [`parse_body`] takes for simd-json's tape of a body, or, of
/// lines, for the largest line's.
pub fn tape_bytes_max(body: &[u8], form: Form) -> usize {
    match form {
        Form::Json => tape::bytes_max(body),
        Form::Lines => body
            .split(|byte| *byte == b'\n')
            .map(tape::bytes_max)
            .max()
            .unwrap_or_default(),
    }
}

/// The way in which records are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    /// By simd-json, and by `serde_json` where simd-json refuses.
    Tape,
    /// By `serde_json` alone.
    Text,
}

/// Reads one record after another.
struct Reader<'b> {
    body: &'b Bytes,
    key_fields: &'b KeyFields,
    max: usize,
    method: Method,
    records: SmallVec<[ParsedRecord; 1]>,
    /// The number of records so far, good or bad.
    count: usize,
    /// The fault of the first record that is JSON but not a valid record. A fault in the grammar of
    /// what follows comes before it.
    fault: Option<BodyFault>,
}

impl<'b> Reader<'b> {
    fn new(body: &'b Bytes, key_fields: &'b KeyFields, max: usize, method: Method) -> Self {
        Self {
            body,
            key_fields,
            max,
            method,
            records: SmallVec::new(),
            count: 0,
            fault: None,
        }
    }

    fn read(self, form: Form) -> Result<ParsedBody, BodyFault> {
        match form {
            Form::Lines => self.lines(),
            Form::Json if trimmed(self.body).first() != Some(&b'[') => self.single(),
            Form::Json if self.method == Method::Text => self.array_by_text(),
            Form::Json => self.array(),
        }
    }

    /// Reads one record by the reader's method.
    fn parse(&self, record: &[u8]) -> Result<Parsed, Malformed> {
        match self.method {
            Method::Tape => parse(record, self.key_fields),
            Method::Text => parse_by_text(record, self.key_fields),
        }
    }

    fn single(self) -> Result<ParsedBody, BodyFault> {
        let parsed = self
            .parse(self.body)
            .map_err(|malformed| BodyFault::Malformed {
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
                self.record(line)?;
            }
        }
        self.end()
    }

    fn array(mut self) -> Result<ParsedBody, BodyFault> {
        let body: &'b [u8] = self.body;
        let all = tape::array(body, wanted(self.key_fields), |left, element, fields| {
            if self.count == 0 {
                self.records.reserve(left.min(self.max));
            }
            self.count += 1;
            if self.count > self.max {
                return None;
            }
            self.records.push(ParsedRecord {
                parsed: parsed(fields).ok()?,
                data: self.body.slice_ref(element),
            });
            Some(())
        });
        match all {
            Some(()) => self.end(),
            None if self.count > self.max => Err(BodyFault::TooMany),
            None => self.array_by_text(),
        }
    }

    /// Reads any array as [`array`](Self::array) does, and finds what is wrong with it.
    fn array_by_text(mut self) -> Result<ParsedBody, BodyFault> {
        self.count = 0;
        self.records.clear();
        let elements = text::elements(self.body, self.max)
            .map_err(|(record, malformed)| BodyFault::Malformed { record, malformed })?;
        for element in elements {
            self.record(element)?;
        }
        self.end()
    }

    /// Reads one record: a slice of the body without white space around it.
    fn record(&mut self, record: &'b [u8]) -> Result<(), BodyFault> {
        let index = self.count;
        self.count += 1;
        if self.count > self.max {
            return Err(BodyFault::TooMany);
        }
        match self.parse(record) {
            Ok(parsed) if self.fault.is_none() => {
                self.records.push(ParsedRecord {
                    parsed,
                    data: self.body.slice_ref(record),
                });
            }
            Ok(_) => {}
            Err(malformed) => {
                let fault = fault_of(self.body, record, index, malformed)?;
                self.fault.get_or_insert(fault);
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

/// Returns the fault of an element of a body, which is a slice of it, if its grammar holds.
///
/// # Errors
/// The fault in its grammar, which comes before all others.
pub(super) fn fault_of(
    body: &[u8],
    element: &[u8],
    index: usize,
    malformed: Malformed,
) -> Result<BodyFault, BodyFault> {
    let fault = |malformed| BodyFault::Malformed {
        record: Some(index),
        malformed,
    };
    let syntax = if malformed.is_of_syntax() {
        Err(malformed.clone())
    } else {
        text::check(element)
    };
    let before = element.as_ptr().addr() - body.as_ptr().addr();
    syntax.map_err(|malformed| fault(malformed.moved(before)))?;
    Ok(fault(malformed))
}

/// Returns the text without the white space of RFC 8259, section 2, around it.
pub(super) fn trimmed(mut text: &[u8]) -> &[u8] {
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
