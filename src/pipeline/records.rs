//! The records of one request and their outcomes.

use std::sync::Arc;

use iem_sink::{Context, Outcome, Record};
use smallvec::SmallVec;

/// The records of one request; nearly always one.
pub type Records = SmallVec<[Record; 1]>;

/// Forgets the request by which records are known again, because they are not all that it had.
pub fn forget_request(records: &mut Records) {
    let Some(first) = records
        .first()
        .filter(|first| first.context.digests.is_some())
    else {
        return;
    };
    let context = Arc::new(Context {
        digests: None,
        ..Context::clone(&first.context)
    });
    for record in records {
        record.context = Arc::clone(&context);
    }
}

/// The outcomes of a request's records, in the records' order.
pub type Outcomes = SmallVec<[Outcome; 1]>;
