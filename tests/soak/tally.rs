//! The account of the soak's clients: answers by status, limits by name, and the fate of every
//! record.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::client::Reply;

/// Shared by all clients of one gateway.
#[derive(Default)]
pub(super) struct Tally {
    next_id: AtomicU64,
    stop: AtomicBool,
    counts: Mutex<Counts>,
    ledger: Mutex<Ledger>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Answers by status; 0 where there was none.
    pub(super) answers: BTreeMap<u16, u64>,
    /// How often each limit was seen to hold.
    pub(super) hits: BTreeMap<&'static str, u64>,
}

/// Records by their ids.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Answered 200.
    pub(super) published: Vec<u64>,
    /// Answered 503, or not answered.
    pub(super) perhaps: HashSet<u64>,
}

impl Tally {
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a limit was seen to hold.
    pub(super) fn hit(&self, limit: &'static str) {
        *lock(&self.counts).hits.entry(limit).or_default() += 1;
    }

    /// Notes that a limit was seen to hold, if it was.
    pub(super) fn hit_if(&self, limit: &'static str, seen: bool) {
        if seen {
            self.hit(limit);
        }
    }

    pub(super) fn answered(&self, reply: Option<&Reply>) {
        *lock(&self.counts)
            .answers
            .entry(reply.map_or(0, |reply| reply.status))
            .or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Writes down what a request's answer says of its records.
    pub(super) fn settle(&self, ids: &[u64], reply: Option<&Reply>) {
        self.answered(reply);
        let mut ledger = self.ledger();
        match reply {
            Some(Reply { status: 200, .. }) => ledger.published.extend(ids),
            // What is not listed as failed is published, where something is listed.
            Some(Reply {
                status: 503, body, ..
            }) => match failed(body) {
                Some(failed) => {
                    for (index, id) in ids.iter().enumerate() {
                        if failed.contains(&index) {
                            ledger.perhaps.insert(*id);
                        } else {
                            ledger.published.push(*id);
                        }
                    }
                }
                None => ledger.perhaps.extend(ids),
            },
            None => ledger.perhaps.extend(ids),
            Some(_) => {}
        }
    }
}

fn failed(body: &[u8]) -> Option<HashSet<usize>> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let list = body.get("failed")?.as_array()?;
    Some(
        list.iter()
            .filter_map(|index| usize::try_from(index.as_u64()?).ok())
            .collect(),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
