//! Logs, metrics and traces: `[logging]`, `[audit]`, `[metrics]` and `[traces]`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::units;

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

/// The key of a secret in the configuration.
pub(super) const AUTHORIZATION: &str = "traces.authorization";

/// `[traces]`: the collector of traces.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Traces {
    /// Its URL; empty: there are no traces.
    #[serde(deserialize_with = "units::url")]
    pub endpoint: String,
    /// Allows a collector on another address than loopback without TLS.
    pub plaintext: bool,
    /// A file of the certificates that the collector's may be signed by, PEM; empty: those that the
    /// system trusts.
    pub ca_file: PathBuf,
    /// The value of the `authorization` header; empty: none.
    pub authorization: Secret,
    /// Traces that begin in a second at most.
    pub max_per_second: u32,
}

impl Traces {
    /// Returns whether there are traces.
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// Returns whether the collector is reached over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    /// Returns whether the collector is on this machine.
    pub fn is_on_loopback(&self) -> bool {
        units::is_on_loopback(self.endpoint.rsplit('/').next().unwrap_or_default())
    }
}

/// A value that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_on_loopback_by_its_host() {
        let is_on_loopback = |endpoint: &str| {
            let traces = Traces {
                endpoint: endpoint.to_owned(),
                ..crate::config::Config::default().traces
            };
            traces.is_on_loopback()
        };
        for endpoint in [
            "http://127.0.0.1:4317",
            "http://127.0.0.1",
            "http://[::1]:4317",
            "https://[::1]",
            "http://LocalHost:4317",
        ] {
            assert!(is_on_loopback(endpoint), "{endpoint}");
        }
        for endpoint in [
            "",
            "http://[2001:db8::1]:4317",
            "http://localhost.example",
            "http://10.0.0.1",
        ] {
            assert!(!is_on_loopback(endpoint), "{endpoint}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret("Bearer abc".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
