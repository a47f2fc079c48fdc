//! The state that a journaled topic's threads share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::Sender;
use iem_journal::Progress;
use parking_lot::Mutex;

use super::fresh::Fresh;
use super::waiting::Waiting;
use crate::pipeline::books::Books;
use crate::pipeline::forwarded::Event;
use crate::pipeline::size_limit::SizeLimit;

/// The state of one journaled topic.
pub(crate) struct Shared {
    pub(super) topic: &'static str,
    pub(super) progress: Progress,
    pub(super) books: Arc<Books>,
    pub(super) waiting: Waiting,
    /// The commits that the forwarder need not read.
    pub(super) fresh: Fresh,
    /// The largest record that the sink takes.
    pub(super) limit: Arc<SizeLimit>,
    /// The greatest age of a record that is not settled, beyond which nothing more is taken.
    pub(crate) age_max: Duration,
    pub(super) events: Sender<Event>,
    /// The forwarder knows that there is more to read.
    pub(super) is_told: AtomicBool,
    pub(super) stop: Mutex<Option<Instant>>,
    /// The journal takes no more now.
    pub(super) is_full: AtomicBool,
    /// The time of the oldest record that is not settled.
    oldest: Time,
    /// The time of the first record that was read and not sent: all that come wait behind it.
    unsent: Time,
    /// The hashes of the keys whose records are held back, each with the time of the first one.
    pub(super) held_back: Mutex<HashMap<u32, SystemTime>>,
    pub(super) counters: Counters,
}

/// Counts since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) committed_records: AtomicU64,
    pub(crate) commit_micros: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) recovered: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Shared {
    pub(super) fn new(
        topic: &'static str,
        progress: Progress,
        books: &Arc<Books>,
        limit: Arc<SizeLimit>,
        age_max: Duration,
        events: Sender<Event>,
    ) -> Self {
        let counters = Counters::default();
        Counters::add(&counters.recovered, progress.status().counts.backlog());
        Self {
            topic,
            progress,
            books: Arc::clone(books),
            waiting: Waiting::default(),
            fresh: Fresh::default(),
            limit,
            age_max,
            events,
            is_told: AtomicBool::new(false),
            stop: Mutex::new(None),
            is_full: AtomicBool::new(false),
            oldest: Time::default(),
            unsent: Time::default(),
            held_back: Mutex::default(),
            counters,
        }
    }

    /// Wakes the forwarder, unless it is awake.
    pub(super) fn tell_forwarder(&self) {
        if !self.is_told.swap(true, Ordering::AcqRel) {
            let _ = self.events.send(Event::More);
        }
    }

    /// Notes the time of the oldest record that is not settled.
    pub(super) fn note_oldest(&self, time: Option<SystemTime>) {
        self.oldest.set(time);
    }

    /// Notes the time of the first record that could not be sent yet.
    pub(super) fn note_unsent(&self, time: Option<SystemTime>) {
        self.unsent.set(time);
    }

    /// Returns the age of the oldest record that is not settled, at `now`.
    pub(crate) fn oldest_age(&self, now: SystemTime) -> Duration {
        self.oldest.age(now)
    }

    /// Returns the age of the first record that could not be sent yet, at `now`.
    pub(super) fn unsent_age(&self, now: SystemTime) -> Duration {
        self.unsent.age(now)
    }

    /// Returns the state of the journal, and the counts since the start.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Returns the size of the largest record that the sink takes.
    pub(in crate::pipeline) fn limit(&self) -> &Arc<SizeLimit> {
        &self.limit
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the journal takes no more now.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}

/// A time, in milliseconds since 1970; 0 if there is none.
#[derive(Default)]
struct Time(AtomicU64);

impl Time {
    fn set(&self, time: Option<SystemTime>) {
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let millis = since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        self.0.store(millis, Ordering::Relaxed);
    }

    fn age(&self, now: SystemTime) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            millis => {
                let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                now.duration_since(time).unwrap_or_default()
            }
        }
    }
}
