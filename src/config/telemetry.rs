//! Logs and metrics: `[logging]`, `[audit]` and `[metrics]`.

use std::path::PathBuf;

use serde::Deserialize;

/// `[logging]`: log lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Logging {
    /// The format of a line.
    pub format: LogFormat,
    /// The levels, `info` or `info,some::module=debug`, as
    /// [`Targets`](tracing_subscriber::filter::Targets) reads them.
    pub level: String,
}

/// `[audit]`: the audit log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Audit {
    /// Whether there is one.
    pub enabled: bool,
    /// The file that its lines are appended to. Empty: standard error.
    pub path: PathBuf,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[metrics]`: limits on metrics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Metrics {
    /// Customers that have series of their own.
    pub customer_series: usize,
}
