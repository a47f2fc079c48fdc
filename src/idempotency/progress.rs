//! The progress of a request whose key is held, and its outcome for those that wait for it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::Notify;

use super::Settled;

/// The progress of one attempt.
#[derive(Default)]
pub(super) struct Progress {
    /// The outcomes of the attempts before it.
    pub(super) before: Option<Arc<Settled>>,
    /// The outcomes of all records at its answer, if some are still open then, and its time.
    answered: OnceLock<(Arc<Settled>, Instant)>,
    /// The outcomes after it; `None` if nothing was handed over to a sink, now or before.
    after: OnceLock<Option<Arc<Settled>>>,
    ended: Notify,
}

impl Progress {
    /// Returns the progress of an attempt after these outcomes.
    pub(super) fn after(before: Option<Arc<Settled>>) -> Arc<Self> {
        Arc::new(Self {
            before,
            ..Self::default()
        })
    }

    /// Notes the outcomes of all records at the answer: the attempt goes on.
    pub(super) fn answer(&self, all: &Arc<Settled>) {
        // It is answered once.
        let _ = self.answered.set((Arc::clone(all), Instant::now()));
    }

    /// Returns the outcomes at the answer, if some are still open then, and its time.
    pub(super) fn answered(&self) -> Option<(Arc<Settled>, Instant)> {
        self.answered.get().cloned()
    }

    /// Ends the attempt and wakes those that wait.
    pub(super) fn end(&self, after: Option<Arc<Settled>>) {
        // It ends once.
        let _ = self.after.set(after);
        self.ended.notify_waiters();
    }

    /// Waits for the end, and returns the outcomes after it.
    pub(super) async fn outcomes(&self) -> Option<Arc<Settled>> {
        let ended = self.ended.notified();
        // An end from here on wakes it.
        if self.after.get().is_none() {
            ended.await;
        }
        self.after.get().cloned().flatten()
    }
}
