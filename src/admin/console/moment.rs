//! The gateway at one moment, as the console reads it: totals since the start, and the state then.

use std::time::{Instant, SystemTime};

use crate::pipeline::LastError;
use crate::telemetry::{Counts, CustomerTotals, Snapshot, TopicSnapshot};

/// The gateway at one moment.
#[derive(Debug)]
pub struct Moment {
    /// The moment.
    pub at: Instant,
    /// The same by the clock.
    pub clock: SystemTime,
    /// The name of the gateway.
    pub name: String,
    /// Whether it is about to end.
    pub draining: bool,
    /// The values of a scrape, without the statistics of sinks.
    pub snapshot: Snapshot,
    /// The topics' sinks, in the order of their snapshots.
    pub sinks: Vec<SinkMoment>,
    /// The counters.
    pub counts: Counts,
    /// The records of each customer.
    pub customers: Vec<CustomerTotals>,
    /// Files that are not in use as they stand, because of faults in them.
    pub faulty_files: Vec<String>,
    /// The keys of tokens, the newest last.
    pub keys: Vec<KeyMoment>,
}

impl Moment {
    /// Returns a figure of the topic with this index, or 0 if there is none.
    pub(super) fn of_topic(&self, index: usize, figure: fn(&TopicSnapshot) -> u64) -> u64 {
        self.snapshot.topics.get(index).map_or(0, figure)
    }
}

/// A topic's sink.
#[derive(Clone, Debug, Default)]
pub struct SinkMoment {
    /// The reason why it takes no records; `None` while it does.
    pub trouble: Option<String>,
    /// Its last error, which may have been mended.
    pub last_error: Option<LastError>,
}

/// A key of tokens.
#[derive(Clone, Debug)]
pub struct KeyMoment {
    /// Its id.
    pub id: String,
    /// The time of its creation; 1970 if its file does not say.
    pub created: SystemTime,
    /// Whether new tokens are signed with it.
    pub signs: bool,
}
