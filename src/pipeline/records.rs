//! The records of one request and their outcomes.

use std::sync::Arc;

use iem_sink::{Context, Outcome, Record};
use smallvec::SmallVec;

/// The records of one request; nearly always one.
pub type Records = SmallVec<[Record; 1]>;

/// Forgets the requests by which records are known again, because they are not all that those had.
/// Records of one request share their context.
pub fn forget_requests(records: &mut Records) {
    for request in records.chunk_by_mut(|one, next| Arc::ptr_eq(&one.context, &next.context)) {
        let Some(first) = request.first() else {
            continue;
        };
        if first.context.digests.is_none() {
            continue;
        }
        let context = Arc::new(Context {
            digests: None,
            ..Context::clone(&first.context)
        });
        for record in request {
            record.context = Arc::clone(&context);
        }
    }
}

/// The outcomes of a request's records, in the records' order.
pub type Outcomes = SmallVec<[Outcome; 1]>;

#[cfg(test)]
mod tests {
    use iem_sink::Digests;
    use iem_sink::testing::record;
    use smallvec::smallvec;

    use super::*;

    #[test]
    fn records_of_several_requests_keep_what_else_their_contexts_say() {
        let of = |state: &str| {
            let record = record("1001/key", "{}");
            let context = Context {
                actionable_state: Some(state.into()),
                digests: Some(Box::new(Digests {
                    key: [1; 32],
                    body: [2; 32],
                })),
                ..Context::clone(&record.context)
            };
            Record {
                context: Arc::new(context),
                ..record
            }
        };
        let (resolved, closed) = (of("resolved"), of("closed"));
        let mut records: Records = smallvec![resolved.clone(), resolved, closed];
        forget_requests(&mut records);
        let contexts = records.iter().map(|record| &record.context);
        let states = contexts
            .clone()
            .map(|context| context.actionable_state.as_deref());
        let expected = ["resolved", "resolved", "closed"].map(Some);
        assert!(states.eq(expected));
        assert!(contexts.clone().all(|context| context.digests.is_none()));
        assert!(Arc::ptr_eq(&records[0].context, &records[1].context));
    }
}
