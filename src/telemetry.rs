//! What the gateway tells of itself: metrics and logs. No secret and no record's data is ever among it.

mod customers;
mod endpoint;
pub mod logging;
mod metrics;

pub use endpoint::Endpoint;
pub use metrics::{CertificateSnapshot, Metrics, Snapshot, TopicSnapshot};
