//! The records a worker has in hand, pure of clocks, threads and sinks: what fits, what is still
//! open, who is told what. A record stays in its place until it is settled, so what is tried again
//! stays ahead of what came later.

use std::time::Instant;

use iem_sink::{Outcome, Record};

use super::Outcomes;
use super::submission::{Reply, Submission};

/// How many records ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) delivered: usize,
    pub(super) rejected: usize,
    pub(super) undelivered: usize,
}

/// One submission in the batch.
struct Request {
    reply: Reply,
    deadline: Instant,
    outcomes: Outcomes,
    open: usize,
}

/// Which request an open record belongs to, and its index there.
#[derive(Clone, Copy)]
struct Owner {
    request: usize,
    index: usize,
    settled: bool,
}

pub(super) struct Batch {
    records_max: usize,
    bytes_max: usize,
    bytes: usize,
    /// The open records; `owners[i]` belongs to `records[i]`.
    records: Vec<Record>,
    owners: Vec<Owner>,
    /// `None` once answered, until the next sweep.
    requests: Vec<Option<Request>>,
    tally: Tally,
}

impl Batch {
    pub(super) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self {
            records_max,
            bytes_max,
            bytes: 0,
            records: Vec::new(),
            owners: Vec::new(),
            requests: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether nothing more would fit.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.records_max || self.bytes >= self.bytes_max
    }

    /// Whether the submission may join: within both bounds, or alone.
    pub(super) fn fits(&self, submission: &Submission) -> bool {
        self.is_empty()
            || self.records.len() + submission.records.len() <= self.records_max
                && self.bytes + submission.bytes() <= self.bytes_max
    }

    pub(super) fn push(&mut self, submission: Submission) {
        self.bytes += submission.bytes();
        let Submission {
            records,
            deadline,
            reply,
        } = submission;
        let request = self.requests.len();
        let open = records.len();
        self.owners.extend((0..open).map(|index| Owner {
            request,
            index,
            settled: false,
        }));
        self.records.extend(records);
        let outcomes = smallvec::smallvec![Outcome::Retryable; open];
        self.requests.push(Some(Request {
            reply,
            deadline,
            outcomes,
            open,
        }));
    }

    /// The open records, in the order in which they came.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// When the first of the open requests is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.requests
            .iter()
            .flatten()
            .map(|request| request.deadline)
            .min()
    }

    /// Takes a write's outcomes, one for each of [`records`](Self::records). Requests that are
    /// settled by them are answered at once; the rest stays, in order.
    pub(super) fn settle(&mut self, outcomes: &[Outcome]) {
        debug_assert_eq!(
            outcomes.len(),
            self.records.len(),
            "an outcome for each record"
        );
        for (owner, outcome) in self.owners.iter_mut().zip(outcomes) {
            match outcome {
                Outcome::Retryable => continue,
                Outcome::Delivered => self.tally.delivered += 1,
                Outcome::Rejected(_) => self.tally.rejected += 1,
            }
            owner.settled = true;
            let slot = &mut self.requests[owner.request];
            let Some(request) = slot else { continue };
            request.outcomes[owner.index] = *outcome;
            request.open -= 1;
            if request.open == 0 {
                answer(slot);
            }
        }
        self.sweep();
    }

    /// Ends the requests that are due at `now`: what is open of them is not delivered.
    pub(super) fn expire(&mut self, now: Instant) {
        self.end(|request| request.deadline <= now);
    }

    /// Ends all requests: what is open of them is not delivered.
    pub(super) fn give_up(&mut self) {
        self.end(|_| true);
    }

    /// How records have ended since this was last asked.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn end(&mut self, mut due: impl FnMut(&Request) -> bool) {
        for slot in &mut self.requests {
            if let Some(request) = slot
                && due(request)
            {
                self.tally.undelivered += request.open;
                answer(slot);
            }
        }
        self.sweep();
    }

    /// Lets go of settled records and answered requests, so that neither piles up behind a record
    /// that stays open.
    fn sweep(&mut self) {
        if self.requests.iter().all(Option::is_none) {
            self.records.clear();
            self.owners.clear();
            self.requests.clear();
            self.bytes = 0;
            return;
        }
        let requests = &self.requests;
        let mut gone = self
            .owners
            .iter()
            .map(|owner| owner.settled || requests[owner.request].is_none());
        self.records.retain(|_| !gone.next().unwrap_or(false));
        self.owners
            .retain(|owner| !owner.settled && requests[owner.request].is_some());
        self.bytes = self.records.iter().map(|record| record.data.len()).sum();

        let mut open = 0;
        let moved: Vec<usize> = requests
            .iter()
            .map(|request| {
                let index = open;
                open += usize::from(request.is_some());
                index
            })
            .collect();
        self.owners
            .iter_mut()
            .for_each(|owner| owner.request = moved[owner.request]);
        self.requests.retain(Option::is_some);
    }
}

fn answer(slot: &mut Option<Request>) {
    if let Some(request) = slot.take() {
        request.reply.send(request.outcomes);
    }
}
