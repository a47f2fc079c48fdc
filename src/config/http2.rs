//! HTTP/2: `[server.http2]`.

use serde::Deserialize;

use super::units;

/// The part of one peer alone of connections and requests over HTTP/2: this many to one for all other
/// peers.
pub const PEERS_PART: usize = 4;

/// `[server.http2]`: HTTP/2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Http2 {
    /// HTTP/2 is served.
    pub enabled: bool,
    /// One peer's connections at once; all together a quarter more.
    pub max_connections: usize,
    /// A connection's requests at once.
    pub max_streams: usize,
    /// One peer's requests at once on all its connections; all together a quarter more.
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
