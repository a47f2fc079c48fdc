//! A customer and its integrations.

use std::collections::HashMap;
use std::sync::Arc;

use super::customer_quota::CustomerQuota;
use super::integration::Integration;

/// A customer whose records the gateway takes.
#[derive(Debug)]
pub struct Customer {
    /// The id by which records name the customer; an integer in a record is compared as text.
    pub id: Arc<str>,
    /// The name for people.
    pub name: String,
    /// Records of an inactive customer are rejected.
    pub active: bool,
    /// The customer's own quota, where it differs from everybody's.
    pub quota: CustomerQuota,
    pub(super) integrations: HashMap<String, Arc<Integration>>,
}

impl Customer {
    /// Returns the customer's integrations, by id.
    pub fn integrations(&self) -> Vec<&Arc<Integration>> {
        let mut integrations: Vec<_> = self.integrations.values().collect();
        integrations.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        integrations
    }
}
