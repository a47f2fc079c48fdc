//! The records that a worker is delivering: which of them fit one write, which are still open, and
//! which requests are to be answered. It knows no clock, no thread and no sink.
//!
//! A record keeps its place until it is settled, so a record that is tried again stays ahead of
//! later ones.

use std::time::Instant;

use iem_sink::{Outcome, Record};

use super::records::Outcomes;
use super::submission::{Reply, Submission};

/// The number of records by how they ended.
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

/// The request that an open record belongs to, and the record's index there.
#[derive(Clone, Copy)]
struct Owner {
    request: usize,
    index: usize,
    settled: bool,
}

/// The open records of one worker, in the order in which they came.
pub(super) struct Batch {
    records_max: usize,
    bytes_max: usize,
    bytes: usize,
    /// The open records. `owners[i]` belongs to `records[i]`.
    records: Vec<Record>,
    owners: Vec<Owner>,
    /// An answered request is `None` until the next sweep.
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

    /// Returns whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.records_max || self.bytes >= self.bytes_max
    }

    /// Returns whether a submission may join: within both bounds, or alone.
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

    /// Returns the open records, in the order in which they came.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Returns the earliest deadline of the open requests.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.requests
            .iter()
            .flatten()
            .map(|request| request.deadline)
            .min()
    }

    /// Takes a write's outcomes, one for each of [`records`](Self::records). Answers the requests
    /// whose records are all settled; the other records stay, in order.
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

    /// Ends the requests whose deadline has passed at `now`; their open records are not delivered.
    pub(super) fn expire(&mut self, now: Instant) {
        self.end(|request| request.deadline <= now);
    }

    /// Ends all requests; their open records are not delivered.
    pub(super) fn give_up(&mut self) {
        self.end(|_| true);
    }

    /// Returns how records have ended since the last call.
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

    /// Removes settled records and answered requests, so that neither piles up behind a record that
    /// stays open.
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
