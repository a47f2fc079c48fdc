//! What a request hands to a worker, and the receipt by which it learns what became of it. A reply
//! that never comes, for whatever reason, means not delivered.

use std::time::{Duration, Instant};

use iem_sink::Outcome;
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use super::lane::{self, Alarm};
use super::room::Place;
use super::{Outcomes, Records};

/// How long after the deadline a request still waits for its worker's word: a worker answers at the
/// deadline itself, so only a write that does not come back lets this pass.
const GRACE: Duration = Duration::from_millis(250);

/// All records of one request for one worker. Never split over batches.
pub(super) struct Submission {
    pub(super) records: Records,
    pub(super) deadline: Instant,
    pub(super) reply: Reply,
}

impl Submission {
    pub(super) fn new(
        records: Records,
        place: Place,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Outcomes>) {
        let (sender, receiver) = oneshot::channel();
        (
            Self {
                records,
                deadline,
                reply: Reply { sender, place },
            },
            receiver,
        )
    }

    /// Bytes of the records' data: what their place was taken for.
    pub(super) fn bytes(&self) -> usize {
        self.reply.place.bytes()
    }
}

/// The way back to the request, and the room that its records hold until they are settled.
pub(super) struct Reply {
    sender: oneshot::Sender<Outcomes>,
    place: Place,
}

impl Reply {
    pub(super) fn send(self, outcomes: Outcomes) {
        // The room is free before the request hears of it: a client that sends its next record at
        // once finds it.
        drop(self.place);
        // A request that no longer waits has been answered 503 or has lost its client; nobody is
        // left to tell.
        let _ = self.sender.send(outcomes);
    }
}

/// One worker's share of a request. `indexes` are the records' places in the request, none for all
/// in order.
pub(super) struct Part {
    pub(super) reply: oneshot::Receiver<Outcomes>,
    pub(super) indexes: Option<Vec<usize>>,
}

/// A request's claim to its outcomes. Workers that slept hear of the records once it is waited for,
/// or dropped.
#[must_use = "the outcome of accepted records is what the client is told"]
pub struct Receipt {
    parts: SmallVec<[Part; 1]>,
    alarms: SmallVec<[Alarm; 1]>,
    records: usize,
    deadline: Instant,
}

impl Receipt {
    pub(super) fn new(records: usize, deadline: Instant) -> Self {
        Self {
            parts: SmallVec::new(),
            alarms: SmallVec::new(),
            records,
            deadline,
        }
    }

    pub(super) fn expect(&mut self, part: Part, alarm: Option<Alarm>) {
        self.parts.push(part);
        self.alarms.extend(alarm);
    }

    /// Wakes the workers now.
    #[cfg(test)]
    pub(super) fn announced(mut self) -> Self {
        self.alarms.clear();
        self
    }

    /// Waits for the outcomes, at most until a moment after the deadline. What has not been heard
    /// of by then is not delivered, as far as the client is told.
    pub async fn outcomes(self) -> Outcomes {
        lane::ring(self.alarms).await;
        let mut outcomes: Outcomes = smallvec![Outcome::default(); self.records];
        let late = tokio::time::Instant::from_std(self.deadline + GRACE);
        for part in self.parts {
            let Ok(Ok(settled)) = tokio::time::timeout_at(late, part.reply).await else {
                continue;
            };
            match part.indexes {
                None => outcomes = settled,
                Some(indexes) => {
                    for (index, outcome) in indexes.into_iter().zip(settled) {
                        outcomes[index] = outcome;
                    }
                }
            }
        }
        outcomes
    }
}
