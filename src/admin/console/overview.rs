//! The first screen as data: for the page, for `iem-gateway top`, and for `/overview`.
//! Rates are those of the last seconds, and unknown until there are two moments to compare.

use serde::{Deserialize, Serialize};

/// The first screen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The name of the gateway.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The seconds since it started.
    pub up_s: u64,
    /// Whether all is well, and why not.
    pub verdict: Verdict,
    /// The books of all topics together.
    pub ledger: Ledger,
    /// The topics.
    pub topics: Vec<TopicPart>,
    /// The customers.
    pub customers: Customers,
    /// The clients' connections and requests.
    pub clients: Clients,
    /// Bytes of bodies and waiting records.
    pub memory: Fill,
    /// The limits that clients have reached, those of the last minute first.
    pub limits: Vec<LimitPart>,
    /// The certificates in use.
    pub certificates: Vec<CertificatePart>,
    /// The keys of tokens, the newest last.
    pub keys: Vec<KeyPart>,
    /// The directory.
    pub directory: DirectoryPart,
}

/// The attention of an operator that something needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// None.
    #[default]
    Good,
    /// A look.
    Warning,
    /// Help, now.
    Bad,
}

/// The state of the gateway in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst level of the reasons.
    pub level: Level,
    /// All that is not as it should be, the worst first.
    pub reasons: Vec<Reason>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Its level.
    pub level: Level,
    /// The thing that it is about.
    pub subject: String,
    /// The fault, in words.
    pub text: String,
}

/// The books of all topics together, in records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Accepted.
    pub accepted: u64,
    /// Accepted a second.
    pub accepted_rate: Option<f64>,
    /// Taken by a sink.
    pub delivered: u64,
    /// Taken by a sink, a second.
    pub delivered_rate: Option<f64>,
    /// In a journal, and not settled.
    pub backlog: u64,
    /// Neither answered nor in a journal.
    pub in_flight: u64,
    /// Refused by a sink for good, and answered so.
    pub refused: u64,
    /// Answered 503.
    pub undelivered: u64,
    /// Among the dead letters.
    pub dead_lettered: u64,
    /// Lost by damage to a journal's files.
    pub damaged: u64,
    /// Accepted, and of unknown place or end. Anything but 0 is a fault of the gateway.
    pub unaccounted: i64,
}

/// A bounded amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The part that is used.
    pub used: u64,
    /// The bound.
    pub limit: u64,
}

impl Fill {
    /// Returns the part that is used, in percent, at most 100.
    pub fn percent(self) -> u64 {
        match self.used.saturating_mul(100).checked_div(self.limit) {
            Some(percent) => percent.min(100),
            None => 0,
        }
    }
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopicPart {
    /// Its name.
    pub name: String,
    /// The name of its sink.
    pub sink: String,
    /// The reason why the sink takes no records; `None` while it does.
    pub trouble: Option<String>,
    /// The sink's last error, which may have been mended.
    pub last_error: Option<SinkError>,
    /// Records accepted a second.
    pub rate: Option<f64>,
    /// The same for each second of the last minute, the latest last.
    pub line: Vec<f64>,
    /// The time that half of the requests take at most, in seconds.
    pub p50_s: Option<f64>,
    /// The time that 99 of 100 requests take at most, in seconds.
    pub p99_s: Option<f64>,
    /// Records in the channel.
    pub records: Fill,
    /// Their bytes.
    pub bytes: Fill,
    /// The journal, if it has one.
    pub journal: Option<JournalPart>,
    /// The seconds until channel or journal are full, if they are filling up.
    pub full_in_s: Option<f64>,
    /// Requests of the last minute.
    pub requests: u64,
    /// Those of them answered 503.
    pub unavailable: u64,
    /// Records among the dead letters: those of a journal since it was made, others since the start.
    pub dead_lettered: u64,
    /// Those of the last minute.
    pub dead_lettered_lately: u64,
    /// Records that the sink refused and that could not be kept.
    pub dead_letters_lost: u64,
}

impl TopicPart {
    /// Returns the channel's bound that is nearer.
    pub fn channel(&self) -> Fill {
        if self.bytes.percent() > self.records.percent() {
            self.bytes
        } else {
            self.records
        }
    }
}

/// An error of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkError {
    /// The sink's message.
    pub message: String,
    /// The seconds since then.
    pub ago_s: u64,
}

/// A topic's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPart {
    /// Bytes on the disk.
    pub bytes: Fill,
    /// Age of the oldest record that the sink does not have, in seconds.
    pub age_s: Fill,
    /// Records that the sink does not have.
    pub backlog: u64,
    /// Whether it takes no more.
    pub is_full: bool,
}

impl JournalPart {
    /// Returns how full it is, in percent: by bytes or by age, whichever is more.
    pub fn percent(&self) -> u64 {
        self.bytes.percent().max(self.age_s.percent())
    }
}

/// The customers that have series of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Customers {
    /// The number of those that have sent records or tried to.
    pub seen: usize,
    /// Those with the most records.
    pub top: Vec<CustomerPart>,
}

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerPart {
    /// Its id; `None` stands for all customers beyond the bound on series.
    pub customer: Option<String>,
    /// Records accepted since the start.
    pub accepted: u64,
    /// Records refused since the start.
    pub refused: u64,
    /// Records accepted a second.
    pub rate: Option<f64>,
    /// The records a second that it may send, if that is bounded.
    pub quota: Option<u32>,
}

/// The clients' connections and requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clients {
    /// Connections that are open.
    pub connections: Fill,
    /// Those over HTTP/2.
    pub http2: u64,
    /// Connections accepted a second.
    pub accepted_rate: Option<f64>,
    /// Connections that ended in an error.
    pub failed: Recent,
    /// TLS handshakes that failed.
    pub handshakes_failed: Recent,
    /// Log-ins with wrong credentials.
    pub log_ins_refused: Recent,
    /// Requests answered a second.
    pub request_rate: Option<f64>,
    /// Requests answered 4xx.
    pub refused: Recent,
    /// Requests answered 503.
    pub unavailable: Recent,
    /// Requests answered 500.
    pub errors: Recent,
}

/// A count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Of the last minute, as far as somebody has looked.
    pub lately: u64,
    /// Since the start.
    pub total: u64,
}

/// A limit that clients have reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitPart {
    /// Its label, as in metrics.
    pub limit: String,
    /// The number of times that it was reached.
    pub reached: Recent,
}

/// A certificate in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePart {
    /// The listener or the list that it is of.
    pub name: String,
    /// Whether its files as they are now are in use.
    pub is_loaded: bool,
    /// The second of Unix time at which it ends.
    pub ends: u64,
    /// The seconds until then; below zero once it is over.
    pub left_s: i64,
}

/// A key of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// Its id.
    pub id: String,
    /// The second of Unix time at which it was made; 0 if its file does not say.
    pub created: u64,
    /// Whether new tokens are signed with it.
    pub signs: bool,
}

/// The directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryPart {
    /// Its users.
    pub users: u64,
    /// Its customers.
    pub customers: u64,
    /// The seconds for which it is not known that it is the file's.
    pub stale_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_nothing_is_nothing_and_more_than_all_is_all() {
        let percent = |used, limit| Fill { used, limit }.percent();
        assert_eq!([percent(0, 0), percent(5, 0), percent(1, 3)], [0, 0, 33]);
        assert_eq!(percent(9, 3), 100);
    }

    #[test]
    fn a_topic_is_as_full_as_the_nearer_bound_says() {
        let fill = |used| Fill { used, limit: 100 };
        let topic = |records, bytes| TopicPart {
            records: fill(records),
            bytes: fill(bytes),
            ..TopicPart::default()
        };
        assert_eq!(topic(3, 7).channel(), fill(7));
        assert_eq!(topic(7, 7).channel(), fill(7));
        assert_eq!(topic(8, 7).channel(), fill(8));
    }
}
