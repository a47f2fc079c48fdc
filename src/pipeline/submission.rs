//! The records that a request hands to a worker, and the worker's way back to the request. A reply
//! that never comes means *not delivered*, whatever the reason.

use std::time::{Duration, Instant};

use iem_sink::Record;
use smallvec::smallvec;
use tokio::sync::oneshot;

use super::budget::Reservation;
use super::forwarded::Forwarded;
use super::receipt::Share;
use super::records::{Outcomes, Records};
use super::timeline::{Timeline, Traced};
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
    /// The times of a traced request.
    pub(super) timeline: Option<Box<Timeline>>,
}

/// The wants of a request, as a topic's workers meet them.
#[derive(Clone)]
pub(super) struct Wanted {
    /// The place where its records have to be safe before the answer.
    pub(super) durability: Durability,
    /// The outcomes that come after the deadline are wanted, too.
    pub(super) wants_late: bool,
    /// Its trace, if it has one.
    pub(super) traced: Option<Box<Traced>>,
}

#[cfg(test)]
impl Wanted {
    /// Returns the wants of a request without a trace whose records are to be delivered.
    pub(super) fn delivered(wants_late: bool) -> Self {
        Self {
            durability: Durability::Delivered,
            wants_late,
            traced: None,
        }
    }
}

impl Submission {
    pub(super) fn new(
        records: Records,
        reservation: Reservation,
        deadline: Instant,
        wanted: &Wanted,
        now: Instant,
    ) -> (Self, oneshot::Receiver<Share>) {
        let (sender, receiver) = oneshot::channel();
        let wants_late = wanted.wants_late;
        let traced = wanted.traced.clone();
        let submission = Self {
            records,
            deadline,
            durability: wanted.durability,
            round: 0,
            timeline: traced.map(|traced| Timeline::new(*traced, now)),
            reply: Reply {
                way: Some(Way::Request { sender, wants_late }),
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
        timeline: Option<Box<Timeline>>,
    ) -> Self {
        Self {
            records: smallvec![record],
            deadline: now + NO_DEADLINE,
            durability: Durability::Delivered,
            round,
            timeline,
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
    /// `None` once all that the request wants to know has been told.
    way: Option<Way>,
    reservation: Reservation,
}

enum Way {
    Request {
        sender: oneshot::Sender<Share>,
        /// The request wants to know the outcomes that come after its deadline, too.
        wants_late: bool,
    },
    /// The way of the last outcomes to a request that has been answered.
    Late(LateReply),
    Forwarder(Forwarded),
}

impl Way {
    /// Tells the outcomes while records are open, unless it has been done. Returns the way of the last
    /// ones, if the request wants to know them.
    fn answer(self, outcomes: Outcomes) -> Option<LateReply> {
        match self {
            Self::Request { sender, wants_late } => {
                let (late, rest) = wants_late.then(oneshot::channel).unzip();
                tell(sender, outcomes, rest);
                late.map(LateReply)
            }
            Self::Late(reply) => Some(reply),
            Self::Forwarder(_) => {
                self.tell(outcomes);
                None
            }
        }
    }

    /// Tells the last outcomes.
    fn tell(self, outcomes: Outcomes) {
        match self {
            Self::Request { sender, .. } => tell(sender, outcomes, None),
            Self::Late(reply) => reply.tell(outcomes),
            Self::Forwarder(forwarded) => {
                forwarded.tell(outcomes.first().copied().unwrap_or_default());
            }
        }
    }
}

impl Reply {
    /// Answers the request, and keeps its budget: the sink still holds records of it.
    pub(super) fn answer(&mut self, outcomes: Outcomes) {
        let way = self.way.take();
        self.way = way.and_then(|way| way.answer(outcomes)).map(Way::Late);
    }

    /// Does the same, and gives the budget back. Returns the way of the last outcomes, if the request
    /// wants to know them.
    pub(super) fn answer_and_free(self, outcomes: Outcomes) -> Option<LateReply> {
        drop(self.reservation);
        self.way?.answer(outcomes)
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
        matches!(self.way, None | Some(Way::Late(_)))
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

/// The way of the last outcomes to a request that has been answered. Dropped, it tells that nobody
/// will know them.
pub(super) struct LateReply(oneshot::Sender<Share>);

impl LateReply {
    pub(super) fn tell(self, outcomes: Outcomes) {
        tell(self.0, outcomes, None);
    }

    /// Returns whether nobody waits for the outcomes any more.
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

fn tell(
    sender: oneshot::Sender<Share>,
    outcomes: Outcomes,
    rest: Option<oneshot::Receiver<Share>>,
) {
    // A request that no longer waits has lost its client; no one can receive the outcomes.
    drop(sender.send(Share { outcomes, rest }));
}
