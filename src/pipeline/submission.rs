//! The records that a request hands to a worker, and the worker's way back to the request. A reply
//! that never comes means *not delivered*, whatever the reason.

use std::time::{Duration, Instant};

use iem_sink::Record;
use smallvec::smallvec;
use tokio::sync::oneshot;

use super::budget::Reservation;
use super::forwarded::Forwarded;
use super::records::{Outcomes, Records};
use crate::config::Durability;

/// The time that a record of a journal has: for ever.
const NO_DEADLINE: Duration = Duration::from_hours(24 * 365 * 100);

/// All records of one request for one worker, or one record of a journal.
pub(super) struct Submission {
    pub(super) records: Records,
    pub(super) deadline: Instant,
    /// The place where the records have to be safe before the answer, if a journal takes them.
    pub(super) durability: Durability,
    /// The round of a forwarder in which it sends the record; 0 for a request's.
    pub(super) round: u64,
    pub(super) reply: Reply,
}

impl Submission {
    pub(super) fn new(
        records: Records,
        reservation: Reservation,
        deadline: Instant,
        durability: Durability,
    ) -> (Self, oneshot::Receiver<Outcomes>) {
        let (sender, receiver) = oneshot::channel();
        let submission = Self {
            records,
            deadline,
            durability,
            round: 0,
            reply: Reply {
                way: Some(Way::Request(sender)),
                reservation,
            },
        };
        (submission, receiver)
    }

    /// Returns the submission of one record of a journal. It has no deadline in a lifetime.
    pub(super) fn forwarded(
        record: Record,
        reservation: Reservation,
        now: Instant,
        round: u64,
        way: Forwarded,
    ) -> Self {
        Self {
            records: smallvec![record],
            deadline: now + NO_DEADLINE,
            durability: Durability::Delivered,
            round,
            reply: Reply {
                way: Some(Way::Forwarder(way)),
                reservation,
            },
        }
    }

    /// Returns the bytes that the records keep in memory.
    pub(super) fn bytes(&self) -> usize {
        self.reply.bytes()
    }
}

/// The way back to the request, with the budget that its records hold until they are settled.
pub(super) struct Reply {
    /// `None` once the request has been answered.
    way: Option<Way>,
    reservation: Reservation,
}

enum Way {
    Request(oneshot::Sender<Outcomes>),
    Forwarder(Forwarded),
}

impl Way {
    fn tell(self, outcomes: Outcomes) {
        match self {
            // A request that no longer waits has lost its client; no one can receive the outcomes.
            Self::Request(sender) => drop(sender.send(outcomes)),
            Self::Forwarder(forwarded) => {
                forwarded.tell(outcomes.first().copied().unwrap_or_default());
            }
        }
    }
}

impl Reply {
    /// Answers the request, and keeps its budget: the sink still holds records of it.
    pub(super) fn answer(&mut self, outcomes: Outcomes) {
        if let Some(way) = self.way.take() {
            way.tell(outcomes);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.reservation.bytes()
    }

    /// Gives the budget of one record back that is settled, before others of its request.
    pub(super) fn settle_one(&mut self) {
        self.reservation.give_back_record();
    }

    /// Notes that the worker has taken the records, and does not refuse them any more.
    pub(super) fn taken(&mut self) {
        if let Some(Way::Forwarder(forwarded)) = &mut self.way {
            forwarded.taken();
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.way.is_none()
    }

    /// Gives the budget back, and answers the request if it has not been answered.
    pub(super) fn end(self, outcomes: Outcomes) {
        // The budget is given back before the request wakes, so that a client's next request finds
        // it free.
        drop(self.reservation);
        if let Some(way) = self.way {
            way.tell(outcomes);
        }
    }
}
