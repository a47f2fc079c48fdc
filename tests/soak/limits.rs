//! Every limit that the soak runs into, and how it is seen to hold. A limit that is added to the
//! gateway is added here.

use super::site::{IDLE_SECONDS, Site};

/// How a limit is seen to hold.
pub(super) enum Seen {
    /// A client was told, or cut off: one of the soak's clients notes it under the limit's own
    /// name.
    ByClients,
    /// A counter of the gateway has risen: its name, and labels that its series has.
    Counted(&'static str, &'static [&'static str]),
}

pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) seen: Seen,
    /// Which gateway meets it.
    pub(super) at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Both,
    Plain,
    Secured,
}

use At::{Both, Plain, Secured};
use Seen::{ByClients, Counted};

pub(super) const BODY_DECLARED: &str = "body, as declared";
pub(super) const BODY_SENT: &str = "body, as sent";
pub(super) const BODY_DECODED: &str = "body, decoded";
pub(super) const RECORDS: &str = "records of a request";
pub(super) const WINDOW: &str = "window of a zstd body";
pub(super) const MEMBERS: &str = "members of a gzip body";
pub(super) const HEAD_SIZE: &str = "head, bytes";
pub(super) const HEAD_COUNT: &str = "head, headers";
pub(super) const HEAD_TIME: &str = "head, time";
pub(super) const BODY_TIME: &str = "body, time";
pub(super) const IDLE: &str = "idle connection";
pub(super) const MEMORY: &str = "memory of bodies";
pub(super) const DEADLINE: &str = "deadline of a topic";
pub(super) const STREAMS: &str = "HTTP/2, requests of a connection";
pub(super) const RESETS: &str = "HTTP/2, resets";

const fn limit(name: &'static str, seen: Seen, at: At) -> Limit {
    Limit { name, seen, at }
}

/// The metric that counts clients at each limit.
const REACHED: &str = "iem_gateway_limits_total";

pub(super) const LIMITS: &[Limit] = &[
    limit(BODY_DECLARED, ByClients, Both),
    limit(BODY_SENT, ByClients, Both),
    limit(BODY_DECODED, ByClients, Both),
    limit(RECORDS, ByClients, Both),
    limit(WINDOW, ByClients, Both),
    limit(MEMBERS, ByClients, Both),
    limit(HEAD_SIZE, ByClients, Both),
    limit(HEAD_COUNT, ByClients, Both),
    limit(HEAD_TIME, ByClients, Both),
    limit(BODY_TIME, ByClients, Both),
    limit(IDLE, ByClients, Both),
    limit(MEMORY, ByClients, Both),
    limit(DEADLINE, ByClients, Both),
    limit(
        "queue of a topic",
        Counted("iem_gateway_records_total", &["full"]),
        Both,
    ),
    limit("connections", Counted(REACHED, &["\"evicted\""]), Both),
    limit("failed logins", Counted(REACHED, &["\"logins\""]), Both),
    limit(
        "quota",
        Counted("iem_gateway_over_quota_records_total", &[]),
        Both,
    ),
    limit(
        "series of customers",
        Counted("iem_gateway_other_customers_records_total", &[]),
        Both,
    ),
    limit(
        "HTTP/2, requests in all",
        Counted(REACHED, &["\"http2_requests\""]),
        Both,
    ),
    limit(STREAMS, ByClients, Plain),
    limit(RESETS, ByClients, Plain),
    limit(
        "TLS handshake, time",
        Counted("iem_gateway_tls_handshakes_failed_total", &[]),
        Secured,
    ),
];

impl Limit {
    /// Whether a soak of so many seconds meets the limit at this gateway.
    pub(super) fn is_of(&self, site: &Site, seconds: u64) -> bool {
        let there = match self.at {
            Both => true,
            Plain => site.authority.is_none(),
            Secured => site.authority.is_some(),
        };
        there && (self.name != IDLE || seconds > IDLE_SECONDS + 10)
    }

    /// How often it was seen to hold.
    pub(super) fn hits(&self, site: &Site) -> u64 {
        match self.seen {
            ByClients => site
                .tally
                .counts()
                .hits
                .get(self.name)
                .copied()
                .unwrap_or_default(),
            Counted(name, labels) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count"
                )]
                let count = site.gateway.metric(name, labels) as u64;
                count
            }
        }
    }
}
