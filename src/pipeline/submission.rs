//! The records that a request hands to a worker, and the worker's way back to the request. A reply
//! that never comes means *not delivered*, whatever the reason.

use std::time::Instant;

use tokio::sync::oneshot;

use super::budget::Reservation;
use super::records::{Outcomes, Records};

/// All records of one request for one worker.
pub(super) struct Submission {
    pub(super) records: Records,
    pub(super) deadline: Instant,
    pub(super) reply: Reply,
}

impl Submission {
    pub(super) fn new(
        records: Records,
        reservation: Reservation,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Outcomes>) {
        let (sender, receiver) = oneshot::channel();
        let submission = Self {
            records,
            deadline,
            reply: Reply {
                sender: Some(sender),
                reservation,
            },
        };
        (submission, receiver)
    }

    /// Returns the bytes that the records keep in memory.
    pub(super) fn bytes(&self) -> usize {
        self.reply.bytes()
    }
}

/// The way back to the request, with the budget that its records hold until they are settled.
pub(super) struct Reply {
    /// `None` once the request has been answered.
    sender: Option<oneshot::Sender<Outcomes>>,
    reservation: Reservation,
}

impl Reply {
    /// Answers the request, and keeps its budget: the sink still holds records of it.
    pub(super) fn answer(&mut self, outcomes: Outcomes) {
        if let Some(sender) = self.sender.take() {
            // A request that no longer waits has lost its client; no one can receive the outcomes.
            let _ = sender.send(outcomes);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.reservation.bytes()
    }

    /// Gives the budget of one record back that is settled, before others of its request.
    pub(super) fn settle_one(&mut self) {
        self.reservation.give_back_record();
    }

    pub(super) fn is_answered(&self) -> bool {
        self.sender.is_none()
    }

    /// Gives the budget back, and answers the request if it has not been answered.
    pub(super) fn end(self, outcomes: Outcomes) {
        // The budget is given back before the request wakes, so that a client's next request finds
        // it free.
        drop(self.reservation);
        if let Some(sender) = self.sender {
            let _ = sender.send(outcomes);
        }
    }
}
