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

/// One worker's share of a request.
pub(super) struct Part {
    pub(super) reply: oneshot::Receiver<Outcomes>,
    /// The records' indexes in the request; `None` if the worker has all of them, in order.
    pub(super) indexes: Option<Vec<usize>>,
}

impl Part {
    /// Puts this share's outcomes into those of the request.
    pub(super) fn merge_into(&self, share: Outcomes, outcomes: &mut [Outcome]) {
        match &self.indexes {
            None => outcomes.copy_from_slice(&share),
            Some(indexes) => {
                for (index, outcome) in indexes.iter().zip(share) {
                    outcomes[*index] = outcome;
                }
            }
        }
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
        WakeGuard::hold(self.wake_guards).await;
        let mut outcomes: Outcomes = smallvec![Outcome::default(); self.records];
        for (index, outcome) in self.known {
            outcomes[index] = outcome;
        }
        let late = tokio::time::Instant::from_std(self.deadline + GRACE);
        for mut part in self.parts {
            if let Ok(Ok(share)) = tokio::time::timeout_at(late, &mut part.reply).await {
                part.merge_into(share, &mut outcomes);
            }
        }
        outcomes
    }
}
