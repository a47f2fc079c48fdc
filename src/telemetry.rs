//! What the gateway tells of itself: metrics and logs. No secret and no record's data is ever among it.

mod customers;
pub mod logging;
mod metrics;

pub use metrics::{Metrics, Snapshot, TopicSnapshot};
