//! A body to the records that may be published, all or none: read, authorised, given ids. It waits
//! for nothing, so it may run on any thread.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use iem_sink::{Context, Record};
use smallvec::SmallVec;

use super::response::Refusal;
use crate::identity::authorization;
use crate::identity::directory::{Customer, Directory};
use crate::identity::{Identity, Principal};
use crate::pipeline::Records;
use crate::record::{self, BodyFault, Form, KeyFields, ParsedBody, ParsedRecord};
use crate::telemetry::Metrics;

/// What a body is read with.
pub(super) struct Intake<'a> {
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

/// Whose the records are, in their order: a customer, and how many in a row are theirs.
pub(super) type Runs = SmallVec<[(Arc<Customer>, usize); 1]>;

impl Intake<'_> {
    /// Checks 6 to 8 of the contract's section 2: 6 for all records, then 7 and 8 of each in turn.
    pub(super) fn accept(&self, body: &Bytes, context: Context) -> Result<Accepted, Refusal> {
        let ParsedBody {
            records: parsed,
            indexed,
        } = record::parse_body(body, self.form, self.key_fields, self.records_max)
            .map_err(refused)?;
        let directory = self.identity.directory().load();
        let principal = current(&directory, self.principal)?;
        let context = Arc::new(context);
        let (mut records, mut customers) = (Records::with_capacity(parsed.len()), Runs::new());
        for (index, ParsedRecord { parsed, data }) in parsed.into_iter().enumerate() {
            let customer = match customers.last_mut() {
                Some((last, count)) if *last.id == *parsed.customer() => {
                    *count += 1;
                    Arc::clone(&last.id)
                }
                _ => {
                    let customer =
                        customer(&directory, &principal, parsed.customer(), self.metrics).map_err(
                            |refusal| {
                                if indexed {
                                    of_record(index, refusal)
                                } else {
                                    refusal
                                }
                            },
                        )?;
                    customers.push((Arc::clone(customer), 1));
                    Arc::clone(&customer.id)
                }
            };
            let (id, context) = (record::next_id(context.time), Arc::clone(&context));
            records.push(Record {
                id,
                context,
                customer,
                key: parsed.into_key(),
                data,
            });
        }
        Ok(Accepted { records, customers })
    }
}

/// The user as the directory has it now: a body may have been long in coming.
pub(super) fn current(directory: &Directory, principal: &Principal) -> Result<Principal, Refusal> {
    let principal = principal.again(directory).ok_or(Refusal::InvalidToken)?;
    authorization::may_call(principal.user())?;
    Ok(principal)
}

/// The customer, if the user may send for it.
pub(super) fn customer<'d>(
    directory: &'d Directory,
    principal: &Principal,
    id: &str,
    metrics: &Metrics,
) -> Result<&'d Arc<Customer>, Refusal> {
    authorization::customer(directory, principal.user(), id).map_err(|denied| {
        if let Some(customer) = directory.customer(id) {
            metrics.customers().add(&customer.id, 0, 1);
        }
        denied.into()
    })
}

/// How records stand in a body with these headers. What clients say of JSON is not looked at: they
/// say anything.
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

fn refused(fault: BodyFault) -> Refusal {
    match fault {
        BodyFault::TooMany => Refusal::TooMuch,
        BodyFault::Malformed {
            record: Some(index),
            malformed,
        } => of_record(index, Refusal::Malformed(malformed)),
        BodyFault::Malformed {
            record: None,
            malformed,
        } => Refusal::Malformed(malformed),
    }
}

fn of_record(index: usize, refusal: Refusal) -> Refusal {
    Refusal::OfRecord {
        index,
        refusal: Box::new(refusal),
    }
}
