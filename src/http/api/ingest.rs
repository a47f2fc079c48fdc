//! Turns a body into the records that may be published, all or none: parses and authorises them,
//! and gives them ids. It never waits for anything, so it may run on any thread.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use iem_sink::{Context, Record};
use smallvec::SmallVec;
use uuid::Uuid;

use super::rejection::Rejection;
use crate::idempotency::{Digester, RequestKey};
use crate::identity::authorization;
use crate::identity::directory::{Customer, Directory};
use crate::identity::{Identity, Principal};
use crate::memory::{Buffer, Exhausted, MemoryBudget, Reservation};
use crate::pipeline::{self, Records};
use crate::record::{
    self, BodyFault, Form, KeyFields, ParsedBody, ParsedRecord, TAPE_BYTES_PER_BODY_BYTE,
};
use crate::telemetry::Metrics;

/// The ingest of one body.
pub(super) struct Ingest<'a> {
    pub(super) identity: &'a Identity,
    pub(super) metrics: &'a Metrics,
    pub(super) principal: &'a Principal,
    pub(super) key_fields: &'a KeyFields,
    pub(super) form: Form,
    /// The most records.
    pub(super) records_max: usize,
    pub(super) memory: &'a Arc<MemoryBudget>,
    /// The key that the records' ids follow from, if the client has sent one.
    pub(super) key: Option<&'a RequestKey>,
}

/// Records that may be published.
pub(super) struct Accepted {
    pub(super) records: Records,
    /// The bytes that the records pin: their body, or a copy of their own.
    pub(super) held_bytes: usize,
    pub(super) customers: Runs,
}

impl Accepted {
    /// Keeps the records of these indexes, which rise, of a request whose records have one key.
    pub(super) fn keep(&mut self, indexes: &[usize]) {
        let records = self.records.len();
        self.retain(indexes);
        if self.records.len() < records {
            pipeline::forget_requests(&mut self.records);
        }
    }

    /// Keeps the records of these indexes, which rise.
    pub(super) fn retain(&mut self, indexes: &[usize]) {
        let mut kept = indexes.iter().copied().peekable();
        let mut index = 0;
        let mut is_kept = || {
            let is_kept = kept.next_if_eq(&index).is_some();
            index += 1;
            is_kept
        };
        for (_, count) in &mut self.customers {
            *count = (0..*count).filter(|_| is_kept()).count();
        }
        self.customers.retain(|(_, count)| *count > 0);
        let mut index = 0;
        self.records.retain(|_| {
            index += 1;
            indexes.binary_search(&(index - 1)).is_ok()
        });
    }
}

/// The customers of a request's records, in the records' order. Each entry has the number of
/// consecutive records of its customer.
pub(super) type Runs = SmallVec<[(Arc<Customer>, usize); 1]>;

/// Returns the customers of a request's records with the indexes of each one's records.
pub(super) fn ranges(customers: &Runs) -> impl Iterator<Item = (&Arc<Customer>, Range<usize>)> {
    let mut end = 0;
    customers.iter().map(move |(customer, count)| {
        let begin = end;
        end += count;
        (customer, begin..end)
    })
}

/// The records of one customer.
pub(super) struct Total<'a> {
    pub(super) customer: &'a Arc<Customer>,
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Returns how much each customer has of these records, in any part.
pub(super) fn totals<'a>(
    parts: impl IntoIterator<Item = (&'a [Record], &'a Runs)>,
) -> impl Iterator<Item = Total<'a>> {
    let mut totals = BTreeMap::<&str, Total<'a>>::new();
    for (records, customers) in parts {
        for (customer, range) in ranges(customers) {
            let total = totals.entry(&customer.id).or_insert(Total {
                customer,
                records: 0,
                bytes: 0,
            });
            total.records += range.len();
            let lengths = records[range].iter().map(|record| record.data.len());
            total.bytes += lengths.sum::<usize>();
        }
    }
    totals.into_values()
}

impl Ingest<'_> {
    /// Does checks 6 to 8 of `docs/contract.md#2-checks-of-a-publish-call`: 6 for all records, then 7
    /// and 8 for each in turn.
    pub(super) fn accept(&self, body: &Bytes, context: Context) -> Result<Accepted, Rejection> {
        let parsed = record::parse_body(body, self.form, self.key_fields, self.records_max);
        self.accept_parsed(body, parsed, context)
    }

    /// Does the same for a body whose tape is too large to be taken without counting it. If the
    /// memory budget has no bytes to spare for the tape, the body is parsed without one.
    pub(super) fn accept_large(
        &self,
        body: &Bytes,
        context: Context,
    ) -> Result<Accepted, Rejection> {
        let parsed = match reserve_tape(self.memory, body, self.form) {
            Some(_reservation) => {
                record::parse_body(body, self.form, self.key_fields, self.records_max)
            }
            None => record::parse_body_by_text(body, self.form, self.key_fields, self.records_max),
        };
        self.accept_parsed(body, parsed, context)
    }

    fn accept_parsed(
        &self,
        body: &Bytes,
        parsed: Result<ParsedBody, BodyFault>,
        context: Context,
    ) -> Result<Accepted, Rejection> {
        let (mut records, customers) = self.authorise(parsed.map_err(rejection)?, context)?;
        let held_bytes = copy_from_sparse(body, &mut records, self.memory)?;
        Ok(Accepted {
            records,
            held_bytes,
            customers,
        })
    }

    /// Does checks 7 and 8 for each record in turn.
    fn authorise(
        &self,
        parsed: ParsedBody,
        mut context: Context,
    ) -> Result<(Records, Runs), Rejection> {
        let ParsedBody {
            records: parsed,
            indexed,
        } = parsed;
        let directory = self.identity.directory().load();
        let principal = current(&directory, self.principal)?;
        let ids = self.key.map(|key| {
            let mut digester = Digester::new(key);
            let ids = parsed.iter().map(|record| digester.next_id(&record.data));
            let ids: SmallVec<[Uuid; 1]> = ids.collect();
            context.digests = Some(Box::new(digester.finish()));
            ids
        });
        let context = Arc::new(context);
        let mut records = Records::with_capacity(parsed.len());
        let mut customers = Runs::new();
        for (index, ParsedRecord { parsed, data }) in parsed.into_iter().enumerate() {
            let customer = match customers.last_mut() {
                Some((last, count)) if *last.id == *parsed.customer() => {
                    *count += 1;
                    Arc::clone(&last.id)
                }
                _ => {
                    let found = customer(&directory, &principal, parsed.customer(), self.metrics);
                    let customer = match found {
                        Err(rejection) if indexed => return Err(of_record(index, rejection)),
                        found => found?,
                    };
                    customers.push((Arc::clone(customer), 1));
                    Arc::clone(&customer.id)
                }
            };
            records.push(Record {
                id: match &ids {
                    Some(ids) => ids[index],
                    None => record::next_id(context.time),
                },
                context: Arc::clone(&context),
                customer,
                key: parsed.into_key(),
                data,
            });
        }
        Ok((records, customers))
    }
}

/// Copies the records out of a body if less than two thirds of it are records. Returns the bytes that
/// the records pin then.
///
/// # Errors
/// [`Exhausted`] if the budget has no bytes for the copy beside the body. The records stay slices of
/// the body then, and must not wait.
pub(super) fn copy_from_sparse(
    body: &Bytes,
    records: &mut [Record],
    memory: &Arc<MemoryBudget>,
) -> Result<usize, Exhausted> {
    let length: usize = records.iter().map(|record| record.data.len()).sum();
    if length >= body.len() / 3 * 2 {
        return Ok(body.len());
    }
    copy_all(records, memory)
}

/// Copies the records into a buffer of their own. Returns its bytes.
///
/// # Errors
/// [`Exhausted`] if the budget has no bytes for the copy. The records stay as they are.
pub(super) fn copy_all(
    records: &mut [Record],
    memory: &Arc<MemoryBudget>,
) -> Result<usize, Exhausted> {
    let length = records.iter().map(|record| record.data.len()).sum();
    let mut copy = Buffer::new(memory, None);
    copy.allocate(length)?;
    for record in &*records {
        copy.extend(&record.data)?;
    }
    let mut copy = copy.freeze();
    for record in records {
        record.data = copy.split_to(record.data.len());
    }
    Ok(length)
}

/// Reserves the bytes of a body's tape, or returns `None` if there are none to spare. The body is
/// looked at only if the most that a tape of its length can take is too much.
pub(super) fn reserve_tape(
    memory: &Arc<MemoryBudget>,
    body: &[u8],
    form: Form,
) -> Option<Reservation> {
    Reservation::spare(memory, body.len() * TAPE_BYTES_PER_BODY_BYTE)
        .or_else(|| Reservation::spare(memory, record::tape_bytes_max(body, form)))
}

/// Returns the user as the directory has it now, which may have changed while the body arrived.
pub(super) fn current(
    directory: &Directory,
    principal: &Principal,
) -> Result<Principal, Rejection> {
    let principal = principal.again(directory).ok_or(Rejection::InvalidToken)?;
    authorization::may_call(principal.user())?;
    Ok(principal)
}

/// Returns the customer, if the user may send for it. Counts a record that it may not send.
pub(super) fn customer<'d>(
    directory: &'d Directory,
    principal: &Principal,
    id: &str,
    metrics: &Metrics,
) -> Result<&'d Arc<Customer>, Rejection> {
    authorization::customer(directory, principal.user(), id).map_err(|denied| {
        if let Some(customer) = directory.customer(id) {
            metrics.customers().add(&customer.id, 0, 1);
        }
        denied.into()
    })
}

/// Returns the form of a body with these headers. Any media type but that of NDJSON is read as
/// JSON: clients send what they like.
pub fn form(headers: &HeaderMap) -> Form {
    if media_type(headers).is_some_and(is_ndjson) {
        Form::Lines
    } else {
        Form::Json
    }
}

/// Returns whether a media type is that of NDJSON.
pub(super) fn is_ndjson(media_type: &[u8]) -> bool {
    media_type.eq_ignore_ascii_case(b"application/x-ndjson")
}

/// Returns the media type of a request with these headers, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get(CONTENT_TYPE)
        .map(|value| without_parameters(value.as_bytes()))
}

/// Returns the media type in the value of a `Content-Type`, without its parameters.
pub fn without_parameters(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}

pub(super) fn rejection(fault: BodyFault) -> Rejection {
    match fault {
        BodyFault::TooMany => Rejection::TooMuch,
        BodyFault::Malformed {
            record: Some(index),
            malformed,
        } => of_record(index, Rejection::Malformed(malformed)),
        BodyFault::Malformed {
            record: None,
            malformed,
        } => Rejection::Malformed(malformed),
    }
}

pub(super) fn of_record(index: usize, rejection: Rejection) -> Rejection {
    Rejection::OfRecord {
        index,
        rejection: Box::new(rejection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(memory: &Arc<MemoryBudget>, text: &str) -> Bytes {
        let mut buffer = Buffer::new(memory, Some(text.len()));
        buffer.extend(text.as_bytes()).expect("it fits");
        buffer.freeze()
    }

    /// Returns records that are slices of the body at these ranges.
    fn slices<const N: usize>(body: &Bytes, ranges: [Range<usize>; N]) -> [Record; N] {
        ranges.map(|range| iem_sink::testing::record("acme/a", body.slice(range)))
    }

    #[test]
    fn records_are_copied_out_of_a_body_that_is_mostly_space() {
        let memory = MemoryBudget::new(1_000);
        let body = counted(&memory, &format!("[{{}},{}{{\"a\":1}}]", " ".repeat(500)));
        let mut records = slices(&body, [1..3, 504..511]);
        assert_eq!(copy_from_sparse(&body, &mut records, &memory), Ok(9));
        assert_eq!(memory.used(), body.len() + 9);
        drop(body);
        assert_eq!(memory.used(), 9);
        let [first, second] = records;
        assert_eq!(
            (&first.data[..], &second.data[..]),
            (&b"{}"[..], &b"{\"a\":1}"[..])
        );
        drop((first, second));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn records_stay_in_a_body_that_is_mostly_records() {
        let memory = MemoryBudget::new(1_000);
        let body = counted(&memory, "[{},{},{}]  ");
        let mut records = slices(&body, [1..3, 4..6, 7..11]);
        assert_eq!(
            copy_from_sparse(&body, &mut records, &memory),
            Ok(body.len())
        );
        assert_eq!(memory.used(), body.len());
        assert_eq!(records[1].data.as_ptr(), body[4..].as_ptr());
    }

    #[test]
    fn records_of_a_sparse_body_that_cannot_be_copied_are_refused() {
        let memory = MemoryBudget::new(510);
        let body = counted(&memory, &format!("[{{}},{}{{}}]", " ".repeat(500)));
        let mut records = slices(&body, [1..3, 504..506]);
        assert_eq!(
            copy_from_sparse(&body, &mut records, &memory),
            Err(Exhausted::All)
        );
        assert_eq!(memory.used(), body.len());
    }
}
