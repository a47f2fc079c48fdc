//! Requests that carry an idempotency key (draft-ietf-httpapi-idempotency-key-header-07): the ids of
//! their records, which follow from the key, and the window in which a repeat is known again.
//!
//! Everything here is in memory, and knows nothing of HTTP, of topics or of sinks.

mod attempt;
mod claim;
mod key;
mod keys;
mod list;
mod progress;
mod shared;
mod state;
mod window;

pub use attempt::Answer;
pub use claim::{Claim, Held, HeldEach, Known, UnderWay};
pub use key::{Digester, IdempotencyKey, RequestKey};
pub use window::{Window, WindowCounts};

use iem_sink::Outcome;
use smallvec::smallvec;

use crate::config::Durability;
use crate::pipeline::Outcomes;

/// The outcomes of a request's records, and what holds of those that are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// One a record, in the records' order.
    pub outcomes: Outcomes,
    /// The durability of the delivered ones.
    pub durability: Durability,
}

impl Settled {
    /// Returns the outcome of one record.
    fn one(outcome: Outcome, durability: Durability) -> Self {
        Self {
            outcomes: smallvec![outcome],
            durability,
        }
    }

    /// Returns whether nothing is left to be sent again.
    fn is_final(&self) -> bool {
        self.outcomes.iter().copied().all(is_settled)
    }

    /// Returns whether some are delivered.
    pub fn has_delivered(&self) -> bool {
        self.outcomes.contains(&Outcome::Delivered)
    }

    /// Returns the indexes of the records that are left to be sent again.
    fn open(&self) -> Vec<usize> {
        let indexed = self.outcomes.iter().enumerate();
        let open = indexed.filter(|(_, outcome)| !is_settled(**outcome));
        open.map(|(index, _)| index).collect()
    }
}

fn is_settled(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Delivered | Outcome::Rejected(_) => true,
        Outcome::Retryable | Outcome::Undeliverable => false,
    }
}

#[cfg(test)]
mod tests;
