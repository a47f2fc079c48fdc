//! The records that the sink of a topic without a journal will never take, on their way to the dead
//! letters. Their clients know from the answer, which does not wait for the disk.
//!
//! A worker puts them into a bounded queue, and never waits for room: a thread of their own writes
//! and syncs them. A record that does not fit, or cannot be written, is counted as lost.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use iem_sink::{Reason, Record};
use parking_lot::Mutex;

use super::budget::{Budget, Reservation};
use super::dead_letters::{DeadLetterPlace, DeadLetters, full, letter};
use crate::config::REJECTED_RECORDS;
use crate::shares::Claims;
use crate::threads::all_ended;

/// The most records of one write, and their bytes, unless one alone has more.
const BATCH_RECORDS: usize = 1024;
const BATCH_BYTES: usize = 1 << 20;

/// The time between two log lines on records that are lost.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The place of what the sink refuses of a topic without a journal.
pub struct RejectedParts {
    /// The place where records are kept.
    pub dead_letters: DeadLetterPlace,
    /// The most bytes of records that wait for it.
    pub bytes_max: usize,
}

/// The queue of a topic's rejected records. Workers share it.
pub(super) struct RejectedQueue {
    budget: Arc<Budget>,
    letters: Sender<Letter>,
    tally: Arc<RejectedTally>,
}

/// The thread that keeps a topic's rejected records. It ends when the queue is gone and empty.
pub(super) struct RejectedThread {
    budget: Arc<Budget>,
    thread: JoinHandle<()>,
    tally: Arc<RejectedTally>,
}

/// The number of a topic's rejected records that were kept or lost since the start.
pub(super) struct RejectedTally {
    topic: &'static str,
    kept: AtomicU64,
    lost: AtomicU64,
    complaint: Mutex<Complaint>,
}

/// The losses that no log line tells yet.
struct Complaint {
    lost: u64,
    at: Instant,
}

struct Letter {
    record: Record,
    reservation: Reservation,
}

/// Starts the thread of a topic.
///
/// # Errors
/// The operating system gives no thread.
pub(super) fn start(
    topic: &'static str,
    parts: RejectedParts,
) -> io::Result<(Arc<RejectedQueue>, RejectedThread)> {
    let RejectedParts {
        dead_letters,
        bytes_max,
    } = parts;
    let budget = Budget::new(REJECTED_RECORDS, bytes_max);
    let (letters, received) = crossbeam_channel::bounded(budget.records_max());
    let tally = Arc::new(RejectedTally {
        topic,
        kept: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        complaint: Mutex::new(Complaint {
            lost: 0,
            at: Instant::now(),
        }),
    });
    let thread = std::thread::Builder::new().name(format!("{topic}-rejected"));
    let thread = thread.spawn({
        let tally = Arc::clone(&tally);
        move || keep(&received, DeadLetters::new(dead_letters), &tally)
    })?;
    let queue = Arc::new(RejectedQueue {
        budget: Arc::clone(&budget),
        letters,
        tally: Arc::clone(&tally),
    });
    let thread = RejectedThread {
        budget,
        thread,
        tally,
    };
    Ok((queue, thread))
}

impl RejectedQueue {
    /// Has a record kept, if there is room for it in the queue. Never blocks.
    pub(super) fn put(&self, record: &Record, reason: Reason) {
        let reserved = self.budget.reserve(1, record.data.len(), Claims::default());
        let Ok(reservation) = reserved else {
            return self.tally.lose(1, &"too many wait to be written");
        };
        let record = Record {
            // A slice would keep the request's whole body in memory.
            data: Bytes::copy_from_slice(&record.data),
            ..letter(record, reason)
        };
        let letter = Letter {
            record,
            reservation,
        };
        if self.letters.try_send(letter).is_err() {
            self.tally.lose(1, &"nobody writes them any more");
        }
    }
}

/// Writes and syncs what comes, until nothing can come any more.
fn keep(received: &Receiver<Letter>, mut dead_letters: DeadLetters, tally: &RejectedTally) {
    while let Ok(first) = received.recv() {
        let mut bytes = first.record.data.len();
        let mut reservations = vec![first.reservation];
        let mut letters = vec![first.record];
        while letters.len() < BATCH_RECORDS
            && bytes < BATCH_BYTES
            && let Ok(next) = received.try_recv()
        {
            bytes += next.record.data.len();
            reservations.push(next.reservation);
            letters.push(next.record);
        }
        let all = letters.len();
        let letters = dead_letters.fitting(letters);
        let fitting = letters.len();
        if fitting < all {
            tally.lose(all - fitting, &full());
        }
        if fitting > 0 {
            let kept = dead_letters.put_all(&letters);
            // The second attempt goes to another file: somebody may have removed the first one.
            match kept.or_else(|_| dead_letters.put_all(&letters)) {
                Ok(()) => drop(tally.kept.fetch_add(fitting as u64, Ordering::Relaxed)),
                Err(error) => tally.lose(fitting, &error),
            }
        }
    }
}

impl RejectedThread {
    pub(super) fn tally(&self) -> &Arc<RejectedTally> {
        &self.tally
    }

    /// Waits until all is written, at most until `deadline`. Returns whether it is.
    pub(super) fn end(self, deadline: Instant) -> bool {
        let has_ended = all_ended([&self.thread], deadline);
        let left = self.budget.records();
        if !has_ended && left > 0 {
            self.tally.lose(left, &"the time to write them is over");
        }
        self.tally.complain(&"the topic is closed");
        has_ended
    }
}

impl RejectedTally {
    pub(super) fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Counts records that are not kept, and logs some of the reasons.
    fn lose(&self, records: usize, reason: &dyn Display) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
        let now = Instant::now();
        let mut complaint = self.complaint.lock();
        complaint.lost += records as u64;
        if now < complaint.at {
            return;
        }
        complaint.at = now + COMPLAIN_EVERY;
        drop(complaint);
        self.complain(reason);
    }

    fn complain(&self, reason: &dyn Display) {
        let lost = std::mem::take(&mut self.complaint.lock().lost);
        if lost > 0 {
            let topic = self.topic;
            tracing::error!(topic, lost, %reason, "cannot keep records that the sink rejected");
        }
    }
}
