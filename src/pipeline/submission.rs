//! The records that a request hands to a worker, and the worker's way back to the request. A reply
//! that never comes means *not delivered*, whatever the reason.

use std::time::Instant;

use tokio::sync::oneshot;

use super::budget::Reservation;
use super::records::{Outcomes, Records};

/// All records of one request for one worker. A batch takes all of them or none.
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
                sender,
                reservation,
            },
        };
        (submission, receiver)
    }

    /// Returns the bytes of the records' data.
    pub(super) fn bytes(&self) -> usize {
        self.reply.reservation.bytes()
    }
}

/// The way back to the request, with the budget that its records hold until they are settled.
pub(super) struct Reply {
    sender: oneshot::Sender<Outcomes>,
    reservation: Reservation,
}

impl Reply {
    pub(super) fn send(self, outcomes: Outcomes) {
        // The budget is given back before the request wakes, so that a client's next request finds
        // it free.
        drop(self.reservation);
        // A request that no longer waits has been answered 503 or has lost its client; no one can
        // receive the outcomes.
        let _ = self.sender.send(outcomes);
    }
}
