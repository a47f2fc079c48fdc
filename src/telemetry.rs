//! What the gateway tells of itself: metrics and logs. No secret and no record's data is ever among
//! it.

mod customers;
mod endpoint;
mod limit;
pub mod logging;
mod metrics;

pub use endpoint::Endpoint;
pub use limit::Limit;
pub use metrics::{CertificateSnapshot, Metrics, Snapshot, TopicSnapshot};
