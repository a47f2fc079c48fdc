//! The ended sessions in use: what this gateway ended, and what others ended.
//!
//! An end holds in this gateway at once. A background thread writes it to where the directory is
//! kept, and reads what others wrote. Nothing that has ended here goes on because less stands there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ended::Ended;
use super::session::{Session, milliseconds};
use crate::identity::directory::PasswordVersion;

/// The longest wait of a request until an end is written.
const SAVED_MAX: Duration = Duration::from_secs(4);

/// The sessions that ended before their time, of one directory.
#[derive(Debug, Default)]
pub struct EndedSessions {
    current: ArcSwap<Ended>,
    /// Held while `current` is replaced, never during I/O.
    writing: Mutex<Writing>,
    attempts: watch::Sender<Attempts>,
}

/// The attempts to write. Each has all that ended here before it began.
#[derive(Debug, Default)]
struct Attempts {
    /// The number of ends that are written.
    saved: u64,
    /// The number of ends of the last attempt that failed.
    failed: u64,
}

#[derive(Debug, Default)]
struct Writing {
    /// The number of times that something ended here.
    ends: u64,
    /// What ended here since an attempt to write began that succeeded.
    unsaved: Ended,
    /// Wakes the thread that writes, once there is one.
    wake: Option<Wake>,
}

struct Wake(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wake")
    }
}

/// Ends that are to be written.
#[derive(Debug)]
pub(in crate::identity) struct Unsaved {
    ends: u64,
    /// What ended here and is not written yet.
    pub(in crate::identity) ended: Ended,
}

impl EndedSessions {
    /// Returns the ended sessions. Cheap; hold them for one decision.
    pub fn load(&self) -> Guard<Arc<Ended>> {
        self.current.load()
    }

    /// Ends all sessions that these users have begun with these passwords until now.
    pub fn end_all(&self, users: &[(Arc<str>, PasswordVersion)], now: SystemTime) {
        if users.is_empty() {
            return;
        }
        let now_ms = milliseconds(now);
        let mut writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        for (email, password) in users {
            ended.end_all(email, *password, now_ms);
            // As late as it is here, for whoever reads it.
            if let Some(until_ms) = ended.until(email, *password) {
                writing.unsaved.end_until(email, *password, until_ms);
            }
        }
        self.store(ended, &mut writing);
    }

    /// Ends one session. Without an id there is none to end.
    pub fn end_one(
        &self,
        email: &Arc<str>,
        password: PasswordVersion,
        session: &Session,
        now: SystemTime,
    ) {
        let ended_ms = milliseconds(now).max(session.begun_ms);
        let Some(id) = session.id else { return };
        let mut writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        for all in [&mut ended, &mut writing.unsaved] {
            all.end_one(email, password, id, ended_ms);
        }
        self.store(ended, &mut writing);
    }

    fn store(&self, ended: Ended, writing: &mut Writing) {
        self.current.store(Arc::new(ended));
        writing.ends += 1;
        if let Some(Wake(wake)) = &writing.wake {
            wake();
        }
    }

    /// Waits until all is written that ended here before the call. Returns `false` if it could not
    /// be, or not in time; the background thread tries again.
    pub async fn saved(&self) -> bool {
        let wanted = self.writing.lock().ends;
        let mut attempts = self.attempts.subscribe();
        let end = attempts.wait_for(|last| last.saved >= wanted || last.failed >= wanted);
        matches!(timeout(SAVED_MAX, end).await, Ok(Ok(last)) if last.saved >= wanted)
    }

    /// Has `wake` called whenever something ends here.
    pub(in crate::identity) fn wake_by(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.writing.lock().wake = Some(Wake(Box::new(wake)));
    }

    /// Adds ends that may not be written yet, as those of a copy: they are to be written.
    pub(in crate::identity) fn add_unsaved(&self, others: &Ended) {
        let mut writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        ended.merge(others);
        if writing.unsaved.merge(others) {
            self.store(ended, &mut writing);
        }
    }

    /// Has all that has ended written again.
    pub(in crate::identity) fn write_all(&self) {
        let ended = Arc::clone(&self.load());
        self.add_unsaved(&ended);
    }

    /// Returns the number of times that something ended here.
    pub(in crate::identity) fn ends(&self) -> u64 {
        self.writing.lock().ends
    }

    /// Returns whether all that ended here is written.
    pub(in crate::identity) fn is_saved(&self) -> bool {
        self.writing.lock().ends == self.attempts.borrow().saved
    }

    /// Begins an attempt to write; `None` if there is nothing to write.
    pub(in crate::identity) fn take_unsaved(&self) -> Option<Unsaved> {
        let mut writing = self.writing.lock();
        if writing.ends == self.attempts.borrow().saved {
            return None;
        }
        Some(Unsaved {
            ends: writing.ends,
            ended: std::mem::take(&mut writing.unsaved),
        })
    }

    /// Notes that an attempt to write succeeded.
    pub(in crate::identity) fn note_saved(&self, saved: &Unsaved) {
        self.attempts.send_modify(|last| last.saved = saved.ends);
    }

    /// Notes that an attempt to write failed: it is for the next one.
    pub(in crate::identity) fn note_failed(&self, failed: &Unsaved) {
        self.writing.lock().unsaved.merge(&failed.ended);
        self.attempts.send_modify(|last| last.failed = failed.ends);
    }

    /// Adds what others ended, and returns whether that changes anything.
    pub(in crate::identity) fn merge(&self, others: &Ended) -> bool {
        let _writing = self.writing.lock();
        let mut ended = Ended::clone(&self.current.load());
        let has_changed = ended.merge(others);
        if has_changed {
            self.current.store(Arc::new(ended));
        }
        has_changed
    }

    /// Removes what no token can belong to any longer.
    pub(in crate::identity) fn prune(&self, now: SystemTime) {
        let _writing = self.writing.lock();
        let mut pruned = Ended::clone(&self.current.load());
        pruned.prune(milliseconds(now));
        self.current.store(Arc::new(pruned));
    }
}
