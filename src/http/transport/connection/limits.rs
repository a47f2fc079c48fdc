//! The bounds on one connection, by the configuration's names.

use std::time::Duration;

use crate::config;

/// Bounds on one connection. A listener without a configuration table gives its own.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits<'a> {
    /// The time from the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// The time between an answer and the first byte of the next request.
    pub idle_timeout: Duration,
    /// The time from a request's first byte to its answer's last.
    pub request_timeout: Duration,
    /// The time after which the next request of the connection is its last. Without it the
    /// connection has any number.
    pub max_age: Option<Duration>,
    /// The time that a client may go without taking a byte of what is sent to it.
    pub write_timeout: Duration,
    /// Bytes of a request's head.
    pub max_header: usize,
    /// Headers of a request.
    pub max_headers: usize,
    /// Bounds on HTTP/2. Without these it is not served.
    pub http2: Option<&'a config::Http2>,
}

#[cfg(test)]
impl ConnectionLimits<'static> {
    /// Returns bounds that no test reaches, but for this one.
    pub(super) fn of_tests(header_timeout: Duration) -> Self {
        let long = Duration::from_mins(10);
        Self {
            header_timeout,
            idle_timeout: long,
            request_timeout: long,
            max_age: None,
            write_timeout: long,
            max_header: 8192,
            max_headers: 100,
            http2: None,
        }
    }
}

impl<'a> From<&'a config::Server> for ConnectionLimits<'a> {
    fn from(server: &'a config::Server) -> Self {
        Self {
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            request_timeout: server.request_timeout,
            max_age: Some(server.max_connection_age),
            write_timeout: server.write_timeout,
            max_header: server.max_header,
            max_headers: server.max_headers,
            http2: server.http2.enabled.then_some(&server.http2),
        }
    }
}
