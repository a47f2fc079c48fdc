//! The state of a running topic, for readiness and metrics.

use std::sync::Arc;

use super::budget::Budget;
use super::health::Health;

/// How full a topic is, and whether its deliveries succeed.
#[derive(Clone)]
pub struct Vitals {
    pub(super) budget: Arc<Budget>,
    pub(super) health: Arc<Health>,
}

impl Vitals {
    /// Returns the number of records accepted and not yet settled.
    pub fn records(&self) -> usize {
        self.budget.records()
    }

    /// Returns the bytes of those records' data.
    pub fn bytes(&self) -> usize {
        self.budget.bytes()
    }

    /// Returns whether deliveries succeed at present.
    pub fn health(&self) -> &Health {
        &self.health
    }
}
