//! A sink, and the observer of what its topics' workers do.

use std::time::Duration;

use iem_sink::Sink;

/// A sink shared by the topics that use it.
pub struct Backend {
    /// The sink's name in the configuration: `file`, `kafka`, …
    pub name: &'static str,
    /// The sink itself.
    pub sink: Box<dyn Sink>,
}

/// The receiver of a worker's reports. Worker threads call it once a batch.
pub trait Observer: Send + Sync {
    /// Reports that all outcomes of `records` records, which were handed over together, have come
    /// `elapsed` after that.
    fn wrote(&self, records: usize, elapsed: Duration);
}

/// An observer that nobody asks.
pub struct Unobserved;

impl Observer for Unobserved {
    fn wrote(&self, _records: usize, _elapsed: Duration) {}
}
