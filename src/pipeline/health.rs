//! Whether a topic's deliveries succeed: what readiness asks. Written by workers and by the periodic check, never
//! consulted to decide whether a record is taken.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use iem_sink::SinkError;

/// Since when, and why, a topic's sink does not take records.
#[derive(Clone, Debug)]
pub struct Down {
    /// The sink's own words.
    pub reason: String,
    /// The last time it failed.
    pub last: Instant,
}

/// One topic's state. It changes only on success and failure of real work, and logs each change once.
#[derive(Debug)]
pub struct Health {
    /// The topic's own name.
    pub topic: &'static str,
    /// Its sink's.
    pub sink: &'static str,
    down: Mutex<Option<Down>>,
}

impl Health {
    pub(super) fn new(topic: &'static str, sink: &'static str) -> Self {
        Self { topic, sink, down: Mutex::new(None) }
    }

    /// Why the topic is down, if it is.
    pub fn down(&self) -> Option<Down> {
        self.lock().clone()
    }

    /// A write or a check failed at `now`.
    pub fn failed(&self, error: &SinkError, now: Instant) {
        let mut down = self.lock();
        if down.is_none() {
            tracing::warn!(topic = self.topic, sink = self.sink, %error, "the sink does not take records");
        }
        *down = Some(Down { reason: error.message.clone(), last: now });
    }

    /// A write or a check that began at `began` succeeded. A failure seen since then counts more.
    pub fn succeeded(&self, began: Instant) {
        let mut down = self.lock();
        if down.as_ref().is_some_and(|down| down.last <= began) {
            *down = None;
            tracing::info!(topic = self.topic, sink = self.sink, "the sink takes records again");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Down>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
