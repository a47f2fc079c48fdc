//! Metrics, logs and traces of the gateway. They never hold a secret or a record's data.

mod appended_file;
pub mod audit;
mod customers;
mod endpoint;
mod limit;
pub mod logging;
mod metrics;
mod refusals;
pub mod traces;

pub use customers::CustomerTotals;
pub use endpoint::Endpoint;
pub use limit::Limit;
pub use metrics::{
    CertificateSnapshot, Counts, EndpointCounts, Metrics, OpenConnection, Snapshot, TopicSnapshot,
};
pub use refusals::Refusal;
