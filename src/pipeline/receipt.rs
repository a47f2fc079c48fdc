//! A request's claim to the outcomes of its records.

use std::time::{Duration, Instant};

use iem_sink::Outcome;
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use super::channel::WakeGuard;
use super::records::Outcomes;
use super::size_limit::TooLarge;
use crate::config::Durability;

/// How long after the deadline a request still waits for its worker. A worker answers at the
/// deadline, so this time passes only while a write does not come back.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// A worker's answer to its share of a request.
pub(super) struct Share {
    pub(super) outcomes: Outcomes,
    /// The way of the last outcomes, if the sink still holds some of the records and the request
    /// wants to know what becomes of them.
    pub(super) rest: Option<oneshot::Receiver<Share>>,
}

/// One worker's share of a request.
pub(super) struct Part {
    pub(super) reply: oneshot::Receiver<Share>,
    /// The records' indexes in the request; `None` if the worker has all of them, in order.
    pub(super) indexes: Option<Vec<usize>>,
}

impl Part {
    /// Puts this share's outcomes into those of the request. Returns whether there are more to come.
    pub(super) fn merge_into(&mut self, share: Share, outcomes: &mut [Outcome]) -> bool {
        match &self.indexes {
            None => outcomes.copy_from_slice(&share.outcomes),
            Some(indexes) => {
                for (index, outcome) in indexes.iter().zip(share.outcomes) {
                    outcomes[*index] = outcome;
                }
            }
        }
        let has_rest = share.rest.is_some();
        if let Some(rest) = share.rest {
            self.reply = rest;
        }
        has_rest
    }
}

/// A request's claim to the outcomes of its records. It holds wake guards of parked workers, and so
/// they wake when the outcomes are awaited or the receipt is dropped.
#[must_use = "the client is told the outcomes of its records"]
pub struct Receipt {
    parts: SmallVec<[Part; 1]>,
    wake_guards: SmallVec<[WakeGuard; 1]>,
    records: usize,
    /// The outcomes of records that no worker has.
    known: Vec<(usize, Outcome)>,
    durability: Durability,
    deadline: Instant,
}

impl Receipt {
    pub(super) fn new(records: usize, durability: Durability, deadline: Instant) -> Self {
        Self {
            parts: SmallVec::new(),
            wake_guards: SmallVec::new(),
            records,
            known: Vec::new(),
            durability,
            deadline,
        }
    }

    /// Returns the receipt of a whole request, of which this one has the records that are left.
    pub(super) fn beside(mut self, too_large: TooLarge) -> Self {
        let TooLarge {
            left,
            records,
            reason,
        } = too_large;
        for part in &mut self.parts {
            part.indexes = Some(match part.indexes.take() {
                None => left.clone(),
                Some(indexes) => indexes.into_iter().map(|index| left[index]).collect(),
            });
        }
        self.records = left.len() + records;
        let rejected = (0..self.records).filter(|index| left.binary_search(index).is_err());
        self.known = rejected
            .map(|index| (index, Outcome::Rejected(reason)))
            .collect();
        self
    }

    /// Returns what holds of the records that are delivered, as their outcomes say.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    pub(super) fn push(&mut self, part: Part, wake_guard: Option<WakeGuard>) {
        self.parts.push(part);
        self.wake_guards.extend(wake_guard);
    }

    /// Wakes the workers now.
    #[cfg(test)]
    pub(super) fn wake(mut self) -> Self {
        self.wake_guards.clear();
        self
    }

    #[cfg(test)]
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts.into_vec()
    }

    /// Waits for the outcomes, at most until a moment after the deadline. A record without an
    /// outcome by then counts as not delivered.
    pub async fn outcomes(self) -> Outcomes {
        self.answer().await.outcomes
    }

    /// Does the same, and returns the claim to what is still open then.
    pub async fn answer(self) -> Answer {
        WakeGuard::hold(self.wake_guards).await;
        let mut outcomes: Outcomes = smallvec![Outcome::default(); self.records];
        for (index, outcome) in self.known {
            outcomes[index] = outcome;
        }
        let until = tokio::time::Instant::from_std(self.deadline + GRACE);
        let mut open = SmallVec::new();
        for mut part in self.parts {
            let is_open = match tokio::time::timeout_at(until, &mut part.reply).await {
                Ok(Ok(share)) => part.merge_into(share, &mut outcomes),
                // Its worker is gone.
                Ok(Err(_)) => false,
                // A write does not come back.
                Err(_) => true,
            };
            if is_open {
                open.push(part);
            }
        }
        let late = (!open.is_empty()).then(|| Late {
            parts: open,
            outcomes: outcomes.clone(),
        });
        Answer { outcomes, late }
    }
}

/// The outcomes of a request's records at its deadline, or before.
pub struct Answer {
    /// One a record, in the records' order.
    pub outcomes: Outcomes,
    /// The claim to the last outcomes, if some are still open.
    pub late: Option<Late>,
}

/// A claim to the outcomes that come after a request's deadline.
pub struct Late {
    parts: SmallVec<[Part; 1]>,
    outcomes: Outcomes,
}

impl Late {
    /// Waits until each record has its last outcome, or no worker has it any more, for as long as a
    /// sink holds records. Returns the outcomes of all records.
    pub async fn outcomes(mut self) -> Outcomes {
        for mut part in self.parts {
            while let Ok(share) = (&mut part.reply).await
                && part.merge_into(share, &mut self.outcomes)
            {}
        }
        self.outcomes
    }
}
