//! The claims of requests on their keys.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use iem_sink::Outcome;
use smallvec::smallvec;
use tokio::runtime::Handle;

use super::Settled;
use super::keys::Short;
use super::progress::Progress;
use super::shared::SharedKeys;
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
    key: Short,
    progress: Arc<Progress>,
    stage: Stage,
}

enum Stage {
    Checked,
    /// A sink may have some of so many records.
    HandedOver(usize),
    Ended,
}

impl Held {
    pub(super) fn new(keys: &Arc<SharedKeys>, key: Short, progress: &Arc<Progress>) -> Self {
        Self {
            keys: Arc::clone(keys),
            key,
            progress: Arc::clone(progress),
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

    /// Waits for the outcomes of so many records that were handed over, and returns those of all
    /// records. The outcomes count also if the caller goes away.
    pub async fn settle(
        mut self,
        records: usize,
        outcomes: impl Future<Output = Settled> + Send + 'static,
    ) -> Arc<Settled> {
        self.stage = Stage::HandedOver(records);
        let mut attempt = Attempt(Some((self, Box::pin(outcomes))));
        let settled = poll_fn(|context| attempt.poll(context)).await;
        match attempt.0.take() {
            Some((held, _)) => held.end(settled),
            None => Arc::new(settled),
        }
    }

    /// Ends the attempt with these outcomes of the records that were left.
    fn end(mut self, settled: Settled) -> Arc<Settled> {
        self.stage = Stage::Ended;
        let all = Arc::new(merge(self.progress.before.as_deref(), settled));
        self.keys.settle(&self.key, &self.progress, &all);
        all
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match self.stage {
            Stage::Ended => {}
            Stage::Checked => self.keys.give_back(&self.key, &self.progress),
            // A sink may have them. They are sent again all the same, with the same ids.
            Stage::HandedOver(records) => {
                let unknown = Settled {
                    outcomes: smallvec![Outcome::default(); records],
                    durability: Durability::Delivered,
                };
                let all = Arc::new(merge(self.progress.before.as_deref(), unknown));
                self.keys.settle(&self.key, &self.progress, &all);
            }
        }
    }
}

/// An attempt whose outcomes are awaited, on a task of its own if the caller goes away.
struct Attempt(Option<(Held, Awaited)>);

/// The outcomes of an attempt, once it has ended.
type Awaited = Pin<Box<dyn Future<Output = Settled> + Send>>;

impl Attempt {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Settled> {
        match &mut self.0 {
            Some((_, outcomes)) => outcomes.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let attempt = self.0.take();
        if let (Some((held, outcomes)), Ok(runtime)) = (attempt, Handle::try_current()) {
            runtime.spawn(async move {
                held.end(outcomes.await);
            });
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
    /// Waits for the outcomes of the other request's records; `None` if no sink can have them.
    pub async fn outcomes(self) -> Option<Arc<Settled>> {
        self.0.outcomes().await
    }
}
