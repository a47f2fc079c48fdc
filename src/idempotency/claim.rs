//! The claims of requests on their keys.

use std::sync::Arc;
use std::time::Instant;

use iem_sink::Outcome;
use smallvec::smallvec;

use super::attempt::{self, Answer, Claimed, LateOutcomes};
use super::progress::Progress;
use super::shared::SharedKeys;
use super::{Settled, is_settled};
use crate::config::Durability;

/// The result of a request's claim on its key.
pub enum Claim {
    /// The request has to deliver its records, or those that are left.
    Held(Held),
    /// The request is a repeat, and delivers nothing.
    Known(Known),
    /// The window has no place. The records are delivered, and a repeat is not known again.
    NoPlace,
}

/// The state of an earlier request with a repeat's key.
pub enum Known {
    /// It is under way: the repeat waits for the same outcome.
    UnderWay(UnderWay),
    /// All records are delivered.
    Delivered(Durability),
    /// All records have their outcome, and some will never be delivered.
    Settled(Arc<Settled>),
    /// It had other records, or less durability.
    Reused,
}

/// A key whose records one request delivers. Dropped before they are handed over, it leaves the key
/// as it was.
pub struct Held {
    keys: Arc<SharedKeys>,
    /// The key's entry, which stays while it is under way.
    index: u32,
    progress: Arc<Progress>,
    stage: Stage,
}

enum Stage {
    Checked,
    /// A sink may have some of so many records.
    HandedOver(usize),
    /// The request has been answered, and a sink may still have some.
    Late,
    Ended,
}

impl Held {
    pub(super) fn new(keys: &Arc<SharedKeys>, index: u32, progress: Arc<Progress>) -> Self {
        Self {
            keys: Arc::clone(keys),
            index,
            progress,
            stage: Stage::Checked,
        }
    }

    /// Returns whether no attempt before this one has handed over records.
    pub(super) fn is_first(&self) -> bool {
        self.progress.before.is_none()
    }

    /// Returns the indexes of the records that are left to be delivered; `None` for all.
    pub fn open(&self) -> Option<Vec<usize>> {
        self.progress.before.as_deref().map(Settled::open)
    }

    /// Waits for the answer to so many records that were handed over, and returns the outcomes of all
    /// records. The outcomes count also if the caller goes away, and the last ones after the answer:
    /// until then the key stays under way.
    pub async fn settle(
        mut self,
        records: usize,
        answer: impl Future<Output = Answer> + Send + 'static,
    ) -> Arc<Settled> {
        self.stage = Stage::HandedOver(records);
        attempt::run(self, answer).await
    }

    /// Keeps the key under way after these outcomes of the records that were left, if there is a
    /// place for that, with the outcomes of so many records. Otherwise they are the last ones.
    fn stay(mut self, answered: &Arc<Settled>, records: usize) -> Option<Self> {
        self.progress.answer(answered);
        if self.keys.stay(self.index, &self.progress, records) {
            self.stage = Stage::Late;
            return Some(self);
        }
        self.end(answered);
        None
    }

    /// Returns the outcomes of all records: those before the attempt, with those of the records that
    /// were left in place of theirs.
    fn all(&self, left: Settled) -> Arc<Settled> {
        Arc::new(merge(self.progress.before.as_deref(), left))
    }

    /// Ends the attempt with the outcomes of all records.
    fn end(mut self, all: &Arc<Settled>) {
        self.stage = Stage::Ended;
        let now = Instant::now();
        self.keys.settle(self.index, &self.progress, all, now);
    }
}

impl Claimed for Held {
    type Told = Arc<Settled>;

    fn answered(self, Answer { settled, late }: Answer) -> Arc<Settled> {
        let durability = settled.durability;
        let all = self.all(settled);
        match late {
            None => self.end(&all),
            Some(late) => {
                let limit = self.keys.time();
                if let Some(held) = self.stay(&all, all.outcomes.len()) {
                    attempt::go_on(async move {
                        if let Some(outcomes) = attempt::last(late, limit).await {
                            let all = held.all(Settled {
                                outcomes,
                                durability,
                            });
                            held.end(&all);
                        }
                    });
                }
            }
        }
        all
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (all, since) = match self.stage {
            Stage::Ended => return,
            Stage::Checked => return self.keys.give_back(self.index, &self.progress),
            // A sink may have them. They are sent again all the same, with the same ids.
            Stage::HandedOver(records) => {
                let unknown = Settled {
                    outcomes: smallvec![Outcome::default(); records],
                    durability: Durability::Delivered,
                };
                (self.all(unknown), Instant::now())
            }
            Stage::Late => match self.progress.answered() {
                Some(answered) => answered,
                None => return,
            },
        };
        self.keys.settle(self.index, &self.progress, &all, since);
    }
}

/// The keys of records that a request hands over together, each with one record of its own. Dropped
/// before they are handed over, they are as they were.
#[derive(Default)]
pub struct HeldEach {
    /// Each with the index of its record.
    held: Vec<(usize, Held)>,
}

impl HeldEach {
    /// Adds the key of the record with this index.
    pub fn push(&mut self, index: usize, held: Held) {
        self.held.push((index, held));
    }

    /// Returns whether no record has a key.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Waits for the answer to the records, and returns their outcomes. They count also if the caller
    /// goes away, and the last ones after the answer.
    pub async fn settle(
        mut self,
        answer: impl Future<Output = Answer> + Send + 'static,
    ) -> Settled {
        for (_, held) in &mut self.held {
            held.stage = Stage::HandedOver(1);
        }
        attempt::run(self, answer).await
    }
}

impl Claimed for HeldEach {
    type Told = Settled;

    fn answered(self, Answer { settled, late }: Answer) -> Settled {
        let mut open = Vec::new();
        // The first key that stays counts the outcomes of all.
        let mut records = settled.outcomes.len();
        for (index, held) in self.held {
            let outcome = settled.outcomes[index];
            let all = held.all(Settled::one(outcome, settled.durability));
            if late.is_none() || is_settled(outcome) {
                held.end(&all);
            } else if let Some(held) = held.stay(&all, records) {
                records = 1;
                open.push((index, held));
            }
        }
        if let Some(late) = late {
            attempt::go_on(end_each(open, late, settled.durability));
        }
        settled
    }
}

/// Waits for the last outcomes of records with a key each, and ends their attempts.
async fn end_each(open: Vec<(usize, Held)>, late: LateOutcomes, durability: Durability) {
    let Some(limit) = open.first().map(|(_, held)| held.keys.time()) else {
        return;
    };
    if let Some(outcomes) = attempt::last(late, limit).await {
        for (index, held) in open {
            let all = held.all(Settled::one(outcomes[index], durability));
            held.end(&all);
        }
    }
}

/// Returns the outcomes of all records: those before an attempt, with those of the records that were
/// left in place of theirs.
fn merge(before: Option<&Settled>, left: Settled) -> Settled {
    let Some(before) = before else {
        return left;
    };
    let mut all = before.clone();
    for (index, outcome) in before.open().into_iter().zip(&left.outcomes) {
        all.outcomes[index] = *outcome;
    }
    // What holds of delivered records alone.
    all.durability = match (before.has_delivered(), left.has_delivered()) {
        (true, true) => before.durability.min(left.durability),
        (true, false) => before.durability,
        (false, _) => left.durability,
    };
    all
}

/// A claim on a key that another request is under way with.
pub struct UnderWay(pub(super) Arc<Progress>);

impl UnderWay {
    /// Waits for the last outcomes of the other request's records, at most until `deadline`: from then
    /// on those of its answer are returned, if it has been answered. `None` if no sink can have the
    /// records, or nothing is known of them.
    pub async fn outcomes(self, deadline: Instant) -> Option<Arc<Settled>> {
        let ended = tokio::time::timeout_at(deadline.into(), self.0.outcomes()).await;
        ended.unwrap_or_else(|_| Some(self.0.answered()?.0))
    }
}
