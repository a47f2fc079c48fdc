//! Turns a body into the records that may be published, all or none: parses and authorises them,
//! and gives them ids. It never waits for anything, so it may run on any thread.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use iem_sink::{Context, Record};
use smallvec::SmallVec;

use super::rejection::Rejection;
use crate::identity::authorization;
use crate::identity::directory::{Customer, Directory};
use crate::identity::{Identity, Principal};
use crate::memory::{MemoryBudget, Reservation};
use crate::pipeline::Records;
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
}

/// Records that may be published.
pub(super) struct Accepted {
    pub(super) records: Records,
    pub(super) customers: Runs,
}

/// The customers of a request's records, in the records' order. Each entry has the number of
/// consecutive records of its customer.
pub(super) type Runs = SmallVec<[(Arc<Customer>, usize); 1]>;

impl Ingest<'_> {
    /// Does checks 6 to 8 of `docs/contract.md#2-checks-of-a-publish-call`: 6 for all records, then 7
    /// and 8 for each in turn.
    pub(super) fn accept(&self, body: &Bytes, context: Context) -> Result<Accepted, Rejection> {
        let parsed = record::parse_body(body, self.form, self.key_fields, self.records_max);
        self.authorise(parsed.map_err(rejection)?, context)
    }

    /// Does the same for a body whose tape is too large to be taken without counting it. If the
    /// memory budget has no bytes to spare for the tape, the body is parsed without one.
    pub(super) fn accept_large(
        &self,
        body: &Bytes,
        context: Context,
        memory: &Arc<MemoryBudget>,
    ) -> Result<Accepted, Rejection> {
        let parsed = match reserve_tape(memory, body, self.form) {
            Some(_reservation) => {
                record::parse_body(body, self.form, self.key_fields, self.records_max)
            }
            None => record::parse_body_by_text(body, self.form, self.key_fields, self.records_max),
        };
        self.authorise(parsed.map_err(rejection)?, context)
    }

    /// Does checks 7 and 8 for each record in turn.
    fn authorise(&self, parsed: ParsedBody, context: Context) -> Result<Accepted, Rejection> {
        let ParsedBody {
            records: parsed,
            indexed,
        } = parsed;
        let directory = self.identity.directory().load();
        let principal = current(&directory, self.principal)?;
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
                id: record::next_id(context.time),
                context: Arc::clone(&context),
                customer,
                key: parsed.into_key(),
                data,
            });
        }
        Ok(Accepted { records, customers })
    }
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
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    let is_lines = media_type.is_some_and(|media_type| {
        media_type
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-ndjson")
    });
    if is_lines { Form::Lines } else { Form::Json }
}

fn rejection(fault: BodyFault) -> Rejection {
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

fn of_record(index: usize, rejection: Rejection) -> Rejection {
    Rejection::OfRecord {
        index,
        rejection: Box::new(rejection),
    }
}
