//! The state of a key, and the places that it takes.

use std::sync::Arc;

use iem_sink::Outcome;

use super::Settled;
use super::progress::Progress;
use crate::config::Durability;

/// The bytes for which a place stands.
const PLACE_BYTES: usize = 160;
/// The bytes of outcomes beside those of each record.
const OUTCOMES_BYTES: usize = 128;
/// The places of a request under way, beside its key's.
const PROGRESS_PLACES: usize = 1;

/// The bytes of a request that has been answered and whose outcomes are awaited: its task, and what
/// the topic's worker or journal keeps of it.
const LATE_BYTES: usize = 1 << 10;
/// The bytes of each of its records: its outcome here and there, and its index.
const LATE_RECORD_BYTES: usize = 2 * size_of::<Outcome>() + size_of::<usize>();

/// The state of a key's records.
pub(super) enum State {
    /// A request is on its way to the sink.
    UnderWay(Arc<Progress>),
    /// Its answer is over, and a sink still has some of the records. The outcomes of so many are kept.
    Late(Arc<Progress>, usize),
    /// All are delivered.
    Delivered(Durability),
    /// All were journaled before the start. Nobody knows what their client was told.
    Restored,
    /// Some are not, or never will be.
    Partly(Arc<Settled>),
}

impl State {
    pub(super) fn of(settled: &Arc<Settled>) -> Self {
        let mut outcomes = settled.outcomes.iter();
        if outcomes.all(|outcome| *outcome == Outcome::Delivered) {
            Self::Delivered(settled.durability)
        } else {
            Self::Partly(Arc::clone(settled))
        }
    }

    /// Returns the places that the key takes.
    pub(super) fn places(&self) -> usize {
        let of_outcomes = |settled: &Settled| {
            let bytes = settled.outcomes.len() * size_of::<Outcome>() + OUTCOMES_BYTES;
            bytes.div_ceil(PLACE_BYTES)
        };
        1 + match self {
            Self::UnderWay(progress) => {
                PROGRESS_PLACES + progress.before.as_deref().map_or(0, of_outcomes)
            }
            Self::Late(progress, records) => {
                let before = progress.before.as_deref().map_or(0, of_outcomes);
                let answered = progress.answered();
                let late = LATE_BYTES + records * LATE_RECORD_BYTES;
                let answered = answered.map_or(0, |(all, _)| of_outcomes(&all));
                PROGRESS_PLACES + before + answered + late.div_ceil(PLACE_BYTES)
            }
            Self::Delivered(_) | Self::Restored => 0,
            Self::Partly(settled) => of_outcomes(settled),
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self, Self::UnderWay(_) | Self::Late(..))
    }
}
