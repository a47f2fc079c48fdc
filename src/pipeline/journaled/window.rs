//! The records of a journal that are with the workers.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::parked::Parked;
use crate::pipeline::delivery::Load;

/// The time after which a record counts as stalled: it takes no room in the window any more. The
/// workers refuse more of a unit that settles nothing, before stalled records fill a second window.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// A record that is with a worker.
#[derive(Clone, Copy, Debug)]
struct Flying {
    record: Parked,
    load: Load,
    is_stalled: bool,
}

/// The records that are with the workers, by their sequence numbers, and the bounds on them.
pub(super) struct Window {
    limit: Load,
    flying: BTreeMap<u64, Flying>,
    /// The records in the order in which they were sent.
    sent: VecDeque<(Instant, u64)>,
    /// The records that do not count as stalled.
    moving: Load,
}

impl Window {
    pub(super) fn new(limit: Load) -> Self {
        Self {
            limit,
            flying: BTreeMap::new(),
            sent: VecDeque::new(),
            moving: Load::default(),
        }
    }

    /// Returns whether one more record of so many bytes may be sent. One alone always may.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.moving.is_zero() || self.moving.fits(Load::one(bytes), self.limit)
    }

    /// Adds a record of so many bytes that is sent at `now`.
    pub(super) fn add(&mut self, sequence: u64, record: Parked, bytes: usize, now: Instant) {
        let flying = Flying {
            record,
            load: Load::one(bytes),
            is_stalled: false,
        };
        self.flying.insert(sequence, flying);
        self.sent.push_back((now, sequence));
        self.moving += flying.load;
    }

    pub(super) fn remove(&mut self, sequence: u64) -> Option<Parked> {
        let flying = self.flying.remove(&sequence)?;
        if !flying.is_stalled {
            self.moving -= flying.load;
        }
        Some(flying.record)
    }

    /// Notes the records that count as stalled at `now`.
    pub(super) fn note_stalled(&mut self, now: Instant) {
        while let Some((sent, sequence)) = self.sent.front().copied() {
            match self.flying.get_mut(&sequence) {
                Some(_) if now.saturating_duration_since(sent) < STALLED_AFTER => return,
                Some(flying) if !flying.is_stalled => {
                    flying.is_stalled = true;
                    self.moving -= flying.load;
                }
                Some(_) | None => {}
            }
            self.sent.pop_front();
        }
    }

    /// Returns the first record.
    pub(super) fn first(&self) -> Option<(u64, Parked)> {
        let first = self.flying.first_key_value();
        first.map(|(sequence, flying)| (*sequence, flying.record))
    }
}
