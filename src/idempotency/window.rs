//! The window in which a gateway knows a key again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use iem_sink::Digests;
use parking_lot::MutexGuard;

use super::Settled;
use super::claim::{Claim, Held, Known, UnderWay};
use super::key::first_half;
use super::keys::{BodyDigest, Keys, Short};
use super::progress::Progress;
use super::shared::SharedKeys;
use super::state::State;
use crate::config::{Durability, Idempotency};

/// Old keys that a claim removes: more than the one that it adds.
pub(super) const EXPIRED_PER_CLAIM: usize = 4;
/// Old keys that a look at the counts removes.
const EXPIRED_PER_LOOK: usize = 1_000;

/// The keys of a time, each with the outcomes of its records.
pub struct Window {
    pub(super) keys: Arc<SharedKeys>,
    replayed: AtomicU64,
    waited: AtomicU64,
    resumed: AtomicU64,
    reused: AtomicU64,
    no_place: AtomicU64,
}

/// The state of a window, and the counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Keys that are held; one with many outcomes counts as several.
    pub keys: usize,
    /// Keys that went before their time, for want of a place.
    pub evicted: u64,
    /// Repeats of what had its outcome.
    pub replayed: u64,
    /// Repeats that waited for the outcome.
    pub waited: u64,
    /// Repeats that delivered what was left.
    pub resumed: u64,
    /// Requests with the key of other records, or of less durability.
    pub reused: u64,
    /// Requests for whose key there was no place.
    pub no_place: u64,
}

impl Window {
    /// Creates an empty window.
    pub fn new(config: &Idempotency) -> Self {
        Self {
            keys: Arc::new(SharedKeys::new(Keys::new(config.keys, config.window))),
            replayed: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            no_place: AtomicU64::new(0),
        }
    }

    /// Claims the key of a user's request that may be delivered. `asked` is what the client wants to
    /// hold at least.
    pub fn claim(
        &self,
        user: &Arc<str>,
        digests: &Digests,
        asked: Option<Durability>,
        now: Instant,
    ) -> Claim {
        let (key, body) = (first_half(&digests.key), first_half(&digests.body));
        let claim = self.decide(user, key, body, asked, now);
        let count = match &claim {
            Claim::Held(held) if held.is_first() => return claim,
            Claim::Held(_) => &self.resumed,
            Claim::Known(Known::UnderWay(_)) => &self.waited,
            Claim::Known(Known::Delivered(_) | Known::Settled(_)) => &self.replayed,
            Claim::Known(Known::Reused) => &self.reused,
            Claim::NoPlace => &self.no_place,
        };
        count.fetch_add(1, Ordering::Relaxed);
        claim
    }

    fn decide(
        &self,
        user: &Arc<str>,
        key: Short,
        body: BodyDigest,
        asked: Option<Durability>,
        now: Instant,
    ) -> Claim {
        let mut keys = self.keys.lock();
        keys.expire(now, EXPIRED_PER_CLAIM);
        let Some(index) = keys.find(&key, now) else {
            let progress = Progress::after(None);
            return match keys.insert(user, key, body, &progress, now) {
                Some(index) => Claim::Held(Held::new(&self.keys, index, progress)),
                None => Claim::NoPlace,
            };
        };
        let entry = keys.get(index);
        if entry.body != body {
            return Claim::Known(Known::Reused);
        }
        let is_less = |durability| asked.is_some_and(|asked| asked > durability);
        let known = match &entry.state {
            State::UnderWay(progress) | State::Late(progress, _) => {
                Known::UnderWay(UnderWay(Arc::clone(progress)))
            }
            State::Delivered(durability) if is_less(*durability) => Known::Reused,
            State::Delivered(durability) => Known::Delivered(*durability),
            State::Restored if is_less(Durability::Journaled) => {
                return self.begin_again(keys, index, None);
            }
            State::Restored => Known::Delivered(Durability::Journaled),
            State::Partly(settled) if settled.has_delivered() && is_less(settled.durability) => {
                Known::Reused
            }
            State::Partly(settled) if settled.is_final() => Known::Settled(Arc::clone(settled)),
            State::Partly(settled) => {
                let before = Some(Arc::clone(settled));
                return self.begin_again(keys, index, before);
            }
        };
        Claim::Known(known)
    }

    /// Begins another attempt, after these outcomes. If all places are under way, the request is told
    /// to come again, as a repeat of an attempt that comes to nothing.
    fn begin_again(
        &self,
        mut keys: MutexGuard<'_, Keys>,
        index: u32,
        before: Option<Arc<Settled>>,
    ) -> Claim {
        let progress = Progress::after(before);
        if keys.begin(index, &progress) {
            return Claim::Held(Held::new(&self.keys, index, progress));
        }
        progress.end(None);
        Claim::Known(Known::UnderWay(UnderWay(progress)))
    }

    /// Adds the key of a user's request that was journaled before the start, unless it is known or
    /// there is no place left.
    pub fn restore(&self, user: &Arc<str>, digests: &Digests, since: Instant) {
        let (key, body) = (first_half(&digests.key), first_half(&digests.body));
        self.keys.lock().restore(user, key, body, since);
    }

    /// Returns the state and the counts.
    pub fn counts(&self) -> WindowCounts {
        let mut keys = self.keys.lock();
        keys.expire(Instant::now(), EXPIRED_PER_LOOK);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WindowCounts {
            keys: keys.places(),
            evicted: keys.evicted(),
            replayed: count(&self.replayed),
            waited: count(&self.waited),
            resumed: count(&self.resumed),
            reused: count(&self.reused),
            no_place: count(&self.no_place),
        }
    }
}
