//! Every limit that a client can reach, as the metric labels it. One counter counts how often it
//! was reached, whether it was answered or ended a connection.

/// A limit on what a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections at once.
    Connections,
    /// The time for which an idle connection stays while there is no room for others.
    Evicted,
    /// Connections at once of a peer address.
    ConnectionsPerPeer,
    /// The header of the PROXY protocol with which a proxy's connection must begin, in time.
    ProxyHeader,
    /// The time of a TLS handshake.
    HandshakeTime,
    /// Bytes of a head.
    HeaderSize,
    /// Headers of a head.
    HeaderCount,
    /// The time of a head.
    HeaderTime,
    /// Bytes of a path and its query.
    Uri,
    /// The time between two requests.
    Idle,
    /// Bytes of a body, as sent or decoded.
    BodySize,
    /// The time of a body.
    BodyTime,
    /// Bytes a second of a body.
    BodyRate,
    /// The time from a request to the end of its response.
    RequestTime,
    /// The time for which a client takes nothing of a response.
    WriteTime,
    /// Records of a request.
    Records,
    /// Bytes of all bodies and waiting records.
    Memory,
    /// One sender's share of them.
    MemoryShare,
    /// A topic's channel.
    Queue,
    /// One customer's, user's or peer's share of it.
    QueueShare,
    /// Threads that parse large bodies.
    ParsePool,
    /// Failed logins.
    Logins,
    /// Logins that wait for their hash.
    LoginsWaiting,
    /// The age of the directory.
    DirectoryAge,
    /// The keys of the external issuer.
    IssuerKeys,
    /// A customer's quota.
    Quota,
    /// Connections over HTTP/2 at once.
    Http2Connections,
    /// Requests over HTTP/2 at once.
    Http2Requests,
    /// Frames over HTTP/2 that no client needs: resets, empty ones, any without a request.
    Http2Abuse,
    /// Traces that begin in a second.
    Traces,
}

impl Limit {
    /// Every limit, in the order of the enumeration.
    pub const ALL: [Self; 30] = [
        Self::Connections,
        Self::Evicted,
        Self::ConnectionsPerPeer,
        Self::ProxyHeader,
        Self::HandshakeTime,
        Self::HeaderSize,
        Self::HeaderCount,
        Self::HeaderTime,
        Self::Uri,
        Self::Idle,
        Self::BodySize,
        Self::BodyTime,
        Self::BodyRate,
        Self::RequestTime,
        Self::WriteTime,
        Self::Records,
        Self::Memory,
        Self::MemoryShare,
        Self::Queue,
        Self::QueueShare,
        Self::ParsePool,
        Self::Logins,
        Self::LoginsWaiting,
        Self::DirectoryAge,
        Self::IssuerKeys,
        Self::Quota,
        Self::Http2Connections,
        Self::Http2Requests,
        Self::Http2Abuse,
        Self::Traces,
    ];

    /// Returns the label in the metric and in `docs/limits.md`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Evicted => "evicted",
            Self::ConnectionsPerPeer => "connections_per_peer",
            Self::ProxyHeader => "proxy_header",
            Self::HandshakeTime => "handshake_time",
            Self::HeaderSize => "header_size",
            Self::HeaderCount => "header_count",
            Self::HeaderTime => "header_time",
            Self::Uri => "uri",
            Self::Idle => "idle",
            Self::BodySize => "body_size",
            Self::BodyTime => "body_time",
            Self::BodyRate => "body_rate",
            Self::RequestTime => "request_time",
            Self::WriteTime => "write_time",
            Self::Records => "records",
            Self::Memory => "memory",
            Self::MemoryShare => "memory_share",
            Self::Queue => "queue",
            Self::QueueShare => "queue_share",
            Self::ParsePool => "readers",
            Self::Logins => "logins",
            Self::LoginsWaiting => "logins_waiting",
            Self::DirectoryAge => "directory_age",
            Self::IssuerKeys => "issuer_keys",
            Self::Quota => "quota",
            Self::Http2Connections => "http2_connections",
            Self::Http2Requests => "http2_requests",
            Self::Http2Abuse => "http2_abuse",
            Self::Traces => "traces",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Limit;

    #[test]
    fn each_limit_has_its_index_and_a_label_of_its_own() {
        for (index, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, index, "{limit:?}");
        }
        assert_eq!(
            Limit::ALL
                .map(Limit::label)
                .into_iter()
                .collect::<HashSet<_>>()
                .len(),
            Limit::ALL.len()
        );
    }

    #[test]
    fn docs_limits_md_names_each_limit() {
        let page = include_str!("../../docs/limits.md");
        for label in Limit::ALL.map(Limit::label) {
            assert!(page.contains(&format!("`{label}`")), "{label}");
        }
    }
}
