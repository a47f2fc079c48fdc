//! Requests whose records are in the journal, and that wait until the sink has them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use iem_sink::Outcome;
use parking_lot::Mutex;
use smallvec::smallvec;

use crate::pipeline::records::Outcomes;
use crate::pipeline::submission::Reply;

/// The requests that wait. The journal's writer adds and ends them, its forwarder settles their
/// records.
#[derive(Default)]
pub(super) struct Waiting {
    /// By the sequence numbers of their first records: in the order of their deadlines.
    requests: Mutex<BTreeMap<u64, Request>>,
}

struct Request {
    reply: Reply,
    outcomes: Outcomes,
    open: usize,
    deadline: Instant,
}

impl Waiting {
    /// Adds a request whose records have these sequence numbers.
    pub(super) fn add(&self, sequences: Range<u64>, reply: Reply, deadline: Instant) {
        let records = usize::try_from(sequences.end - sequences.start).unwrap_or(usize::MAX);
        let request = Request {
            reply,
            outcomes: smallvec![Outcome::default(); records],
            open: records,
            deadline,
        };
        self.requests.lock().insert(sequences.start, request);
    }

    /// Settles a record. The last one of a request answers it.
    pub(super) fn settle(&self, sequence: u64, outcome: Outcome) {
        let mut requests = self.requests.lock();
        let Some((first, request)) = requests.range_mut(..=sequence).next_back() else {
            return;
        };
        let first = *first;
        let index = usize::try_from(sequence - first).unwrap_or(usize::MAX);
        let Some(settled) = request.outcomes.get_mut(index) else {
            return;
        };
        *settled = outcome;
        request.open -= 1;
        if request.open > 0 {
            request.reply.settle_one();
        } else if let Some(request) = requests.remove(&first) {
            drop(requests);
            request.reply.end(request.outcomes);
        }
    }

    /// Answers the requests whose deadline has come: their records go on to the sink all the same.
    pub(super) fn expire(&self, now: Instant) {
        loop {
            let mut requests = self.requests.lock();
            let first = requests.first_entry();
            let Some(first) = first.filter(|first| first.get().deadline <= now) else {
                return;
            };
            let request = first.remove();
            drop(requests);
            request.reply.end(request.outcomes);
        }
    }

    /// Returns the first deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let requests = self.requests.lock();
        let first = requests.first_key_value();
        first.map(|(_, request)| request.deadline)
    }
}
