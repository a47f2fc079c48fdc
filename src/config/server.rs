//! The listener for clients: `[server]`.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::http2::Http2;
use super::tls::Tls;
use super::units;

/// The most bytes of a body that is parsed on its serving thread. It takes a few milliseconds at
/// most, and nearly all bodies are far smaller.
pub const PARSE_IN_PLACE_MAX: usize = 256 << 10;

/// `[server]`: the listener for clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Server {
    /// `source` of every record.
    pub name: String,
    /// The gateway's URL as its clients know it, without a slash at its end; empty: the one that they
    /// name as `Host`.
    #[serde(deserialize_with = "units::url")]
    pub url: String,
    /// The address that clients connect to; port 0 takes a free one.
    #[serde(deserialize_with = "units::address")]
    pub listen: SocketAddr,
    /// Allows plain HTTP on an address other than loopback.
    pub plaintext: bool,
    /// Takes HTTP Basic in place of a token on publish calls.
    pub basic: bool,
    /// HTTPS, if a certificate is named.
    pub tls: Tls,
    /// Limits on HTTP/2.
    pub http2: Http2,
    /// Threads that serve connections.
    pub threads: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once of one peer address.
    pub max_connections_per_peer: usize,
    /// The time after which the next request of a connection is its last.
    #[serde(deserialize_with = "units::duration")]
    pub max_connection_age: Duration,
    /// The proxies that are trusted to name their clients' addresses.
    #[serde(deserialize_with = "units::networks")]
    pub proxies: Vec<IpNet>,
    /// Their connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Bytes of a request's line and headers.
    #[serde(deserialize_with = "units::size")]
    pub max_header: usize,
    /// Headers of a request.
    pub max_headers: usize,
    /// Bytes of a request's path and query.
    #[serde(deserialize_with = "units::size")]
    pub max_uri: usize,
    /// Bytes of a request's body, decompressed.
    #[serde(deserialize_with = "units::size")]
    pub max_body: usize,
    /// Bytes of bodies being read and records waiting, in all.
    #[serde(deserialize_with = "units::size")]
    pub memory: usize,
    /// The time for the whole head of a request.
    #[serde(deserialize_with = "units::duration")]
    pub header_timeout: Duration,
    /// The time for the whole body of a request.
    #[serde(deserialize_with = "units::duration")]
    pub body_timeout: Duration,
    /// The least bytes a second of a request's body, on average. 0: no limit.
    #[serde(deserialize_with = "units::size")]
    pub body_rate: usize,
    /// The time from a request's first byte to its response's last.
    #[serde(deserialize_with = "units::duration")]
    pub request_timeout: Duration,
    /// The time for which a client may take nothing of a response.
    #[serde(deserialize_with = "units::duration")]
    pub write_timeout: Duration,
    /// The time between two requests on a connection.
    #[serde(deserialize_with = "units::duration")]
    pub idle_timeout: Duration,
    /// The time after the signal to stop in which connections are still accepted.
    #[serde(deserialize_with = "units::duration")]
    pub drain_delay: Duration,
    /// The time to finish accepted requests after that.
    #[serde(deserialize_with = "units::duration")]
    pub drain: Duration,
}

impl Server {
    /// Returns how many password hashes may run at once: half as many as threads, so that a burst
    /// of logins leaves cores for the publishers.
    pub fn password_permits(&self) -> usize {
        (self.threads / 2).max(1)
    }

    /// Returns how many threads parse large bodies in place of the threads that serve: as many.
    pub fn parse_threads(&self) -> usize {
        self.threads
    }

    /// Returns how long a large body may wait for a thread that parses it. Together with the
    /// delivery of its records it stays below the time that clients wait.
    pub fn parse_wait(&self) -> Duration {
        Duration::from_secs(4)
    }
}
