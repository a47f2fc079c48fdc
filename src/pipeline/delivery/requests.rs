//! The requests whose records a worker holds. A request is answered once, at the latest at its
//! deadline; its budget is given back when the sink holds none of its records any more.

use std::collections::VecDeque;
use std::time::Instant;

use iem_sink::Outcome;
use slab::Slab;

use super::load::Load;
use crate::pipeline::records::Outcomes;
use crate::pipeline::submission::Reply;
use crate::pipeline::timeline::Timeline;

/// The most requests that are gone and still in the order of deadlines, beside as many as there
/// are.
const GONE_MAX: usize = 1024;

/// A request of whose records some are still held.
struct Request {
    /// The way back, with the budget; without a sender once the request has been answered.
    reply: Reply,
    deadline: Instant,
    outcomes: Outcomes,
    /// Records that are neither settled nor given up.
    open: usize,
    number: u64,
    /// Its times, if it is traced.
    timeline: Option<Box<Timeline>>,
}

/// The requests of one worker.
#[derive(Default)]
pub(super) struct Requests {
    slab: Slab<Request>,
    numbers: u64,
    /// The records that are open, and the bytes that their requests keep in memory.
    held: Load,
    /// The records that are open of requests without an answer.
    waited_for: usize,
    /// The keys and numbers of requests that may be unanswered, by deadline: a topic's requests all
    /// have the same time.
    unanswered: VecDeque<(usize, u64)>,
    /// The number of requests that are traced.
    traced: usize,
}

impl Requests {
    /// Adds a request of `records` records, and returns its key.
    pub(super) fn add(
        &mut self,
        records: usize,
        deadline: Instant,
        reply: Reply,
        timeline: Option<Box<Timeline>>,
    ) -> usize {
        self.numbers += 1;
        self.traced += usize::from(timeline.is_some());
        self.held += Load::new(records, reply.bytes());
        self.waited_for += records;
        let key = self.slab.insert(Request {
            reply,
            deadline,
            outcomes: smallvec::smallvec![Outcome::default(); records],
            open: records,
            number: self.numbers,
            timeline,
        });
        self.unanswered.push_back((key, self.numbers));
        if self.unanswered.len() > 2 * self.slab.len() + GONE_MAX {
            let slab = &self.slab;
            self.unanswered.retain(|at| is_unanswered(slab, *at));
        }
        key
    }

    /// Returns the records that are open, and the bytes that their requests keep in memory.
    pub(super) fn held(&self) -> Load {
        self.held
    }

    /// Returns the number of records that are open of requests without an answer.
    pub(super) fn waited_for(&self) -> usize {
        self.waited_for
    }

    /// Returns the number of a request, from 1: no two have the same.
    pub(super) fn number(&self, key: usize) -> u64 {
        self.slab[key].number
    }

    /// Returns the times of a request that is traced.
    pub(super) fn timeline(&mut self, key: usize) -> Option<&mut Timeline> {
        if self.traced == 0 {
            return None;
        }
        self.slab[key].timeline.as_deref_mut()
    }

    pub(super) fn deadline(&self, key: usize) -> Instant {
        self.slab[key].deadline
    }

    /// Returns whether the request has been answered already.
    pub(super) fn is_answered(&self, key: usize) -> bool {
        self.slab[key].reply.is_answered()
    }

    /// Ends one record of a request. The last one answers the request, and gives its budget back.
    pub(super) fn settle(&mut self, key: usize, index: usize, outcome: Outcome, now: Instant) {
        if let Some(timeline) = self.timeline(key) {
            timeline.settled(outcome);
        }
        let request = &mut self.slab[key];
        request.outcomes[index] = outcome;
        request.open -= 1;
        self.held.records -= 1;
        if !request.reply.is_answered() {
            self.waited_for -= 1;
        }
        if request.open == 0 {
            let request = self.slab.remove(key);
            self.held.bytes -= request.reply.bytes();
            request.reply.end(request.outcomes);
            if let Some(timeline) = request.timeline {
                self.traced -= 1;
                timeline.ended(now);
            }
        } else {
            request.reply.settle_one();
        }
    }

    /// Answers the requests whose deadline has come at `now`. Returns how many records they left
    /// open; `None` if no deadline has come.
    pub(super) fn expire(&mut self, now: Instant) -> Option<usize> {
        let mut left = None;
        while let Some(at) = self.first_unanswered() {
            let request = &mut self.slab[at];
            if request.deadline > now {
                break;
            }
            *left.get_or_insert(0) += request.open;
            self.waited_for -= request.open;
            request.reply.answer(request.outcomes.clone());
            self.unanswered.pop_front();
        }
        left
    }

    /// Returns the first deadline of a request that is not answered.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        self.first_unanswered().map(|key| self.slab[key].deadline)
    }

    fn first_unanswered(&mut self) -> Option<usize> {
        while let Some(at) = self.unanswered.front() {
            if is_unanswered(&self.slab, *at) {
                return Some(at.0);
            }
            self.unanswered.pop_front();
        }
        None
    }
}

fn is_unanswered(slab: &Slab<Request>, (key, number): (usize, u64)) -> bool {
    slab.get(key)
        .is_some_and(|request| request.number == number && !request.reply.is_answered())
}
