//! Records that go to a writer under tokens, and the outcomes that come back.

use crate::{Outcome, Reason, Record, SinkError};

/// The number under which a record is in flight. It has at most [`BITS`](Self::BITS) bits, so that a
/// sink can carry it with a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryToken(pub u64);

impl DeliveryToken {
    /// The low bits that a token may use.
    pub const BITS: u32 = 48;
}

/// A record that is sent, with its token.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// The token under which the outcome is told.
    pub token: DeliveryToken,
    /// The record.
    pub record: &'a Record,
}

/// The outcomes that a writer tells, and the reason for those that are no delivery.
#[derive(Debug, Default)]
pub struct Settled {
    outcomes: Vec<(DeliveryToken, Outcome)>,
    error: Option<SinkError>,
}

impl Settled {
    /// Tells the outcome of a token. Each token that was sent is told once. What is
    /// [`Outcome::Retryable`] is certainly no longer on its way, or may be stored twice.
    pub fn tell(&mut self, token: DeliveryToken, outcome: Outcome) {
        self.outcomes.push((token, outcome));
    }

    /// Tells that the backend has the record.
    pub fn delivered(&mut self, token: DeliveryToken) {
        self.tell(token, Outcome::Delivered);
    }

    /// Tells that the backend will never take the record.
    pub fn rejected(&mut self, token: DeliveryToken, reason: Reason) {
        self.tell(token, Outcome::Rejected(reason));
    }

    /// Tells why records are not delivered. The first reason stays.
    pub fn fault(&mut self, error: SinkError) {
        self.error.get_or_insert(error);
    }

    /// Tells the same failure of all these tokens: they may be sent again if `error` is transient,
    /// and may not if it is permanent.
    pub fn failed(&mut self, tokens: impl IntoIterator<Item = DeliveryToken>, error: SinkError) {
        let outcome = error.outcome();
        self.outcomes
            .extend(tokens.into_iter().map(|token| (token, outcome)));
        self.fault(error);
    }

    /// Returns whether nothing has been told.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.error.is_none()
    }

    /// Returns the outcomes that have been told.
    pub fn outcomes(&self) -> &[(DeliveryToken, Outcome)] {
        &self.outcomes
    }

    /// Takes the reason for what was not delivered.
    pub fn take_error(&mut self) -> Option<SinkError> {
        self.error.take()
    }

    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.outcomes.clear();
        self.error = None;
    }
}
