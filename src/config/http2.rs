//! HTTP/2: `[server.http2]`.

use serde::Deserialize;

use super::units;

/// `[server.http2]`: HTTP/2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Http2 {
    /// HTTP/2 is served.
    pub enabled: bool,
    /// Connections at once.
    pub max_connections: usize,
    /// A connection's requests at once.
    pub max_streams: usize,
    /// All connections' requests at once.
    pub max_requests: usize,
    /// Bytes of a request's body that were not read yet.
    #[serde(deserialize_with = "units::size")]
    pub stream_window: usize,
    /// Bytes of all bodies of a connection that were not read yet.
    #[serde(deserialize_with = "units::size")]
    pub connection_window: usize,
    /// Requests that a client reset before they began.
    pub max_pending_resets: usize,
    /// Requests that were reset for a client's faults.
    pub max_error_resets: usize,
}
