//! Requests whose records are in the journal, and that wait until the sink has them: until their
//! deadline, and beyond it those that want to know the last outcomes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use iem_sink::Outcome;
use parking_lot::Mutex;
use smallvec::smallvec;

use crate::pipeline::records::Outcomes;
use crate::pipeline::submission::{LateReply, Reply};

/// The outcomes of late requests that may be added before those are removed for which nobody waits.
/// Each request counts as `REQUEST_OUTCOMES` more.
const ADDED_MAX: usize = 1 << 16;
const REQUEST_OUTCOMES: usize = 16;

/// The requests that wait. The journal's writer adds and ends them, its forwarder settles their
/// records.
#[derive(Default)]
pub(super) struct Waiting {
    /// By the sequence numbers of their first records: in the order of their deadlines.
    requests: Mutex<BTreeMap<u64, Request>>,
    late: Mutex<LateRequests>,
    /// Whether there are late ones. It is set before the others are unlocked.
    has_late: AtomicBool,
}

/// The requests whose deadline is over, by the sequence numbers of their first records. They hold no
/// budget: idempotency keys count them.
#[derive(Default)]
struct LateRequests {
    requests: BTreeMap<u64, LateRequest>,
    /// The outcomes that were added since those were removed for which nobody waits.
    added: usize,
}

struct LateRequest {
    reply: LateReply,
    outcomes: Outcomes,
    open: usize,
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
        let request = requests.range_mut(..=sequence).next_back();
        let found = request.and_then(|(first, request)| {
            let settled = request.outcomes.get_mut(index(*first, sequence))?;
            *settled = outcome;
            Some((*first, request))
        });
        let Some((first, request)) = found else {
            drop(requests);
            if self.has_late.load(Ordering::Relaxed) {
                self.change_late(|late| late.settle(sequence, outcome));
            }
            return;
        };
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
            let (first, request) = first.remove_entry();
            let Request {
                reply,
                outcomes,
                open,
                ..
            } = request;
            // The requests stay locked, so that no outcome comes between them and the late ones.
            if let Some(reply) = reply.answer_and_free(outcomes.clone()) {
                let late = LateRequest {
                    reply,
                    outcomes,
                    open,
                };
                self.change_late(|requests| requests.add(first, late));
            }
        }
    }

    /// Forgets the late requests: nobody will tell their outcomes any more.
    pub(super) fn forget_late(&self) {
        self.change_late(|late| late.requests.clear());
    }

    fn change_late(&self, change: impl FnOnce(&mut LateRequests)) {
        let mut late = self.late.lock();
        change(&mut late);
        self.has_late
            .store(!late.requests.is_empty(), Ordering::Relaxed);
    }

    /// Returns the first deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let requests = self.requests.lock();
        let first = requests.first_key_value();
        first.map(|(_, request)| request.deadline)
    }
}

impl LateRequests {
    fn add(&mut self, first: u64, request: LateRequest) {
        self.added += request.outcomes.len() + REQUEST_OUTCOMES;
        self.requests.insert(first, request);
        if self.added > ADDED_MAX {
            self.requests.retain(|_, request| !request.reply.is_gone());
            self.added = 0;
        }
    }

    fn settle(&mut self, sequence: u64, outcome: Outcome) {
        let Some((first, request)) = self.requests.range_mut(..=sequence).next_back() else {
            return;
        };
        let first = *first;
        let Some(settled) = request.outcomes.get_mut(index(first, sequence)) else {
            return;
        };
        *settled = outcome;
        request.open -= 1;
        if request.open == 0
            && let Some(request) = self.requests.remove(&first)
        {
            request.reply.tell(request.outcomes);
        }
    }
}

/// Returns the index of a record in its request, which begins with `first`.
fn index(first: u64, sequence: u64) -> usize {
    usize::try_from(sequence - first).unwrap_or(usize::MAX)
}
