//! The sources whose records a topic's schema has refused lately. Their records go apart from those
//! of others, so that a request of good records is not refused because of a bad one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use iem_sink::Record;
use parking_lot::Mutex;

/// The most sources that are remembered.
const SOURCES: usize = 1024;

/// The time that a source is remembered after its last refused record.
const MEMORY: Duration = Duration::from_mins(1);

/// The sources of lately refused records.
#[derive(Default)]
pub(crate) struct Suspects {
    hasher: RandomState,
    /// The last refusal of each source.
    refused: Mutex<HashMap<Source, Instant>>,
}

/// The hash of a customer, a user and a kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(u64);

impl Suspects {
    /// Remembers the source of a refused record.
    pub(crate) fn remember(&self, record: &Record, now: Instant) {
        let mut refused = self.refused.lock();
        let source = self.source(record);
        if refused.len() >= SOURCES && !refused.contains_key(&source) {
            refused.retain(|_, last| now.saturating_duration_since(*last) < MEMORY);
        }
        if refused.len() >= SOURCES && !refused.contains_key(&source) {
            let oldest = refused.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(source, _)| *source);
            oldest.and_then(|source| refused.remove(&source));
        }
        refused.insert(source, now);
    }

    /// Returns the source of a record if it is remembered.
    pub(crate) fn find(&self, record: &Record, now: Instant) -> Option<Source> {
        let refused = self.refused.lock();
        if refused.is_empty() {
            return None;
        }
        let source = self.source(record);
        let last = refused.get(&source)?;
        (now.saturating_duration_since(*last) < MEMORY).then_some(source)
    }

    fn source(&self, record: &Record) -> Source {
        let context = &record.context;
        let parts = (&*record.customer, &*context.user, &*context.kind);
        Source(self.hasher.hash_one(parts))
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::testing::record;

    use super::*;

    fn of_customer(customer: impl Into<std::sync::Arc<str>>) -> Record {
        Record {
            customer: customer.into(),
            ..record("1001/a", "{}")
        }
    }

    #[test]
    fn a_source_is_remembered_for_a_minute() {
        let suspects = Suspects::default();
        let now = Instant::now();
        suspects.remember(&of_customer("1001"), now);
        assert!(suspects.find(&of_customer("1001"), now).is_some());
        assert_eq!(suspects.find(&of_customer("1002"), now), None);
        let other_user = {
            let mut record = of_customer("1001");
            std::sync::Arc::make_mut(&mut record.context).user = "other".into();
            record
        };
        assert_eq!(suspects.find(&other_user, now), None);
        assert_eq!(suspects.find(&of_customer("1001"), now + MEMORY), None);
    }

    #[test]
    fn the_source_that_was_refused_longest_ago_is_forgotten_first() {
        let suspects = Suspects::default();
        let now = Instant::now();
        for n in 0..=SOURCES {
            let at = now + Duration::from_millis(n as u64);
            suspects.remember(&of_customer(n.to_string()), at);
        }
        assert_eq!(suspects.refused.lock().len(), SOURCES);
        assert_eq!(suspects.find(&of_customer("0"), now), None);
        assert!(suspects.find(&of_customer("1"), now).is_some());
        assert!(
            suspects
                .find(&of_customer(SOURCES.to_string()), now)
                .is_some()
        );
    }
}
