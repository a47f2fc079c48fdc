//! A request's claim to the outcomes of its records.

use std::time::{Duration, Instant};

use iem_sink::Outcome;
use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;

use super::channel::WakeGuard;
use super::records::Outcomes;

/// How long after the deadline a request still waits for its worker. A worker answers at the
/// deadline, so this time passes only while a write does not come back.
const GRACE: Duration = Duration::from_millis(250);

/// One worker's share of a request.
pub(super) struct Part {
    pub(super) reply: oneshot::Receiver<Outcomes>,
    /// The records' indexes in the request; `None` if the worker has all of them, in order.
    pub(super) indexes: Option<Vec<usize>>,
}

/// A request's claim to the outcomes of its records. It holds wake guards of parked workers, and so
/// they wake when the outcomes are awaited or the receipt is dropped.
#[must_use = "the client is told the outcomes of its records"]
pub struct Receipt {
    parts: SmallVec<[Part; 1]>,
    wake_guards: SmallVec<[WakeGuard; 1]>,
    records: usize,
    deadline: Instant,
}

impl Receipt {
    pub(super) fn new(records: usize, deadline: Instant) -> Self {
        Self {
            parts: SmallVec::new(),
            wake_guards: SmallVec::new(),
            records,
            deadline,
        }
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

    /// Waits for the outcomes, at most until a moment after the deadline. A record without an
    /// outcome by then counts as not delivered.
    pub async fn outcomes(self) -> Outcomes {
        WakeGuard::hold(self.wake_guards).await;
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
