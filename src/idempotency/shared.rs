//! The keys of a window, shared by its requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::Settled;
use super::keys::Keys;
use super::progress::Progress;

/// The keys, and the ends of attempts.
pub(super) struct SharedKeys(Mutex<Keys>);

impl SharedKeys {
    pub(super) fn new(keys: Keys) -> Self {
        Self(Mutex::new(keys))
    }

    /// Returns the time of a key after its last outcome.
    pub(super) fn time(&self) -> Duration {
        self.lock().time()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.lock()
    }

    /// Ends an attempt with the outcomes that hold after it, and have since then.
    pub(super) fn settle(
        &self,
        index: u32,
        progress: &Progress,
        settled: &Arc<Settled>,
        since: Instant,
    ) {
        self.lock().settle(index, progress, settled, since);
        progress.end(Some(Arc::clone(settled)));
    }

    /// Keeps a key under way whose request has been answered, with the outcomes of so many records.
    /// Returns whether there is a place.
    pub(super) fn stay(&self, index: u32, progress: &Arc<Progress>, records: usize) -> bool {
        self.lock().stay(index, progress, records)
    }

    /// Ends an attempt of which no sink can have a record.
    pub(super) fn give_back(&self, index: u32, progress: &Progress) {
        self.lock().give_back(index, progress);
        progress.end(progress.before.clone());
    }
}
