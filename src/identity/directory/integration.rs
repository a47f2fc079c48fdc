//! An ITSM integration of a customer.

/// One of a customer's ITSM integrations.
#[derive(Debug)]
pub struct Integration {
    /// Unique among its customer's.
    pub id: String,
    /// The names of the ITSM tool's states, sorted by their numbers.
    pub states: Vec<(i64, String)>,
}

impl Integration {
    /// Returns the name of the actionable's state for the ITSM tool's `number`, if there is one.
    pub fn state(&self, number: i64) -> Option<&str> {
        let index = self
            .states
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok()?;
        Some(&self.states[index].1)
    }
}
