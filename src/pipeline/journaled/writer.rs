//! The thread that writes a topic's journal: it takes what has arrived, writes it as one commit,
//! syncs it, and answers. While one commit is synced, the next one gathers.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use iem_journal::{AppendError, Appender, KeptLimit, Request};
use iem_sink::{Outcome, Reason, Record};
use smallvec::smallvec;

use super::fresh::Commit;
use super::shared::{Counters, Shared};
use crate::config::Durability;
use crate::pipeline::books::Tally;
use crate::pipeline::channel::Receiver;
use crate::pipeline::records::Records;
use crate::pipeline::submission::Submission;

/// The bytes of records that one commit takes, unless one request alone has more.
const COMMIT_BYTES: usize = 1 << 20;
/// The requests of a commit that are a crowd. A pause follows, in which more gather for the next one:
/// the work of a commit is shared by more.
const CROWD: usize = 8;
/// The length of the pause, in multiples of the time that the commit took.
const GATHER: u32 = 2;
/// The longest pause.
const GATHER_MAX: Duration = Duration::from_millis(2);
/// The time between two writes of the cursor while no record comes.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// The time between two writes of all settled ranges, beyond the first ones.
const ALL_RANGES_EVERY: Duration = Duration::from_secs(30);
/// The time between two looks whether the forwarder has ended.
const END_POLL: Duration = Duration::from_millis(10);

/// The writer of a topic's journal.
pub(super) struct Writer {
    shared: Arc<Shared>,
    receiver: Receiver,
    appender: Appender,
    /// The largest record that the sink takes, as the disk has it.
    kept_limit: KeptLimit,
    /// The time in which a record whose client waits for the sink has to be there.
    deadline: Duration,
    checkpoint_at: Instant,
    all_ranges_at: Instant,
    has_failed: bool,
    /// The last attempt to keep the limit has failed.
    has_lost_limit: bool,
}

impl Writer {
    pub(super) fn new(
        shared: &Arc<Shared>,
        receiver: Receiver,
        appender: Appender,
        kept_limit: KeptLimit,
        deadline: Duration,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            receiver,
            appender,
            kept_limit,
            deadline,
            checkpoint_at: Instant::now(),
            all_ranges_at: Instant::now(),
            has_failed: false,
            has_lost_limit: false,
        }
    }

    /// Starts the thread. It ends once the topic is closed, all that it took is answered, and the
    /// forwarder has ended.
    pub(super) fn spawn(mut self, forwarder: JoinHandle<()>) -> std::io::Result<JoinHandle<()>> {
        let name = format!("{}-journal", self.shared.topic);
        std::thread::Builder::new().name(name).spawn(move || {
            let mut taken = Vec::new();
            loop {
                let is_closed = self.receiver.is_closed();
                self.receiver.take(|submission| taken.push(submission));
                let now = Instant::now();
                self.shared.waiting.expire(now);
                self.checkpoint(now);
                if taken.is_empty() {
                    if is_closed && forwarder.is_finished() {
                        break;
                    }
                    let expiry = self.shared.waiting.next_deadline();
                    let end = is_closed.then(|| now + END_POLL);
                    let until = expiry.into_iter().chain(end).chain([self.checkpoint_at]);
                    self.receiver.wait(until.min());
                } else {
                    let is_crowd = taken.len() >= CROWD;
                    let began = Instant::now();
                    let commits = self.write(&mut taken);
                    // One that was full gains nothing by more.
                    if is_crowd && commits == 1 {
                        std::thread::sleep((GATHER * began.elapsed()).min(GATHER_MAX));
                    }
                }
            }
            self.close();
        })
    }

    /// Writes what was taken, in as many commits as it needs. Returns how many were written.
    fn write(&mut self, taken: &mut Vec<Submission>) -> usize {
        let mut written = 0;
        let mut left = taken.drain(..).peekable();
        while left.peek().is_some() {
            let mut bytes = 0;
            let mut commit = Vec::new();
            while let Some(next) = left.peek() {
                let more: usize = next.records.iter().map(|record| record.data.len()).sum();
                if !commit.is_empty() && bytes + more > COMMIT_BYTES {
                    break;
                }
                bytes += more;
                commit.extend(left.next());
            }
            written += self.commit(commit);
        }
        written
    }

    fn commit(&mut self, commit: Vec<Submission>) -> usize {
        let now = SystemTime::now();
        let too_old = self.shared.oldest_age(now) > self.shared.age_max;
        let (commit, refused): (Vec<_>, Vec<_>) = commit
            .into_iter()
            .partition(|submission| !too_old && !self.is_late(submission, now));
        for submission in refused {
            let records = submission.records.len();
            self.end(submission, records, Outcome::Retryable);
        }
        let written = if commit.is_empty() {
            0
        } else {
            self.append(commit)
        };
        self.note_full(too_old);
        written
    }

    /// Writes a commit, or each of its requests by itself. Returns how many commits were written.
    fn append(&mut self, mut commit: Vec<Submission>) -> usize {
        let held_bytes = commit.iter().map(Submission::bytes).sum();
        let mut records: Vec<Records> = commit
            .iter_mut()
            .map(|submission| std::mem::take(&mut submission.records))
            .collect();
        let requests: Vec<_> = records.iter().flat_map(|records| parts(records)).collect();
        let counts: Vec<_> = records.iter().map(Records::len).collect();
        let began = Instant::now();
        let mut journaled = Vec::new();
        let mut timelines = Vec::new();
        let shared = Arc::clone(&self.shared);
        let written = self.appender.append_and_tell(&requests, |sequences| {
            let books = shared
                .books
                .journal(requests.iter().map(|request| request.records.len()).sum());
            // Those that wait for the sink are known before a reader can see their records.
            let mut first = sequences.start;
            for (mut submission, count) in commit.drain(..).zip(&counts) {
                timelines.extend(submission.timeline.take());
                let end = first + *count as u64;
                match submission.durability {
                    Durability::Journaled => journaled.push((submission, *count)),
                    Durability::Delivered => {
                        let Submission {
                            deadline, reply, ..
                        } = submission;
                        shared.waiting.add(first..end, reply, deadline);
                    }
                }
                first = end;
            }
            books
        });
        match written {
            Ok(sequences) => {
                self.has_failed = false;
                self.count(&sequences, began);
                drop(requests);
                let ended = Instant::now();
                for (submission, records) in journaled {
                    answer(submission, records, Outcome::Delivered);
                }
                self.hand_over(&sequences, records, held_bytes);
                self.shared.tell_forwarder();
                for timeline in timelines {
                    timeline.journaled(began, ended, counts.iter().sum());
                }
                1
            }
            Err(AppendError::TooLarge { limit }) => {
                drop(requests);
                for (submission, records) in commit.iter_mut().zip(&mut records) {
                    submission.records = std::mem::take(records);
                }
                self.append_each(commit, limit)
            }
            Err(error) => {
                let topic = self.shared.topic;
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!(topic, %error, "the journal does not take records");
                }
                for (submission, count) in commit.into_iter().zip(counts) {
                    self.end(submission, count, Outcome::Retryable);
                }
                0
            }
        }
    }

    /// Leaves the records of the last commit to the forwarder.
    fn hand_over(&self, sequences: &Range<u64>, records: Vec<Records>, held_bytes: usize) {
        let written = self.appender.last();
        if let Some(written) = written.filter(|written| written.place().first() == sequences.start)
            && !sequences.is_empty()
        {
            let commit = Commit::new(written, records, held_bytes);
            self.shared.fresh.add(commit);
        }
    }

    /// Writes requests one by one that are too large together. One that is so alone is rejected.
    fn append_each(&mut self, mut commit: Vec<Submission>, limit: usize) -> usize {
        if commit.len() > 1 {
            let each = commit.into_iter();
            return each.map(|submission| self.append(vec![submission])).sum();
        }
        if let Some(submission) = commit.pop() {
            let records = submission.records.len();
            let outcome = Outcome::Rejected(Reason::TooLarge { limit });
            self.end(submission, records, outcome);
        }
        0
    }

    /// Ends a request of so many records that does not go to the journal.
    fn end(&self, mut submission: Submission, records: usize, outcome: Outcome) {
        if let Some(timeline) = submission.timeline.take() {
            timeline.not_journaled(Instant::now(), outcome);
        }
        let is_rejected = matches!(outcome, Outcome::Rejected(_));
        let (rejected, undelivered) = if is_rejected {
            (records, 0)
        } else {
            (0, records)
        };
        let tally = Tally {
            taken: records,
            rejected,
            undelivered,
            ..Tally::default()
        };
        self.shared.books.tell(tally, 0, 0);
        answer(submission, records, outcome);
    }

    fn note_full(&self, too_old: bool) {
        let is_full = too_old || self.appender.is_full();
        self.shared.is_full.store(is_full, Ordering::Relaxed);
    }

    fn count(&self, sequences: &Range<u64>, began: Instant) {
        let counters = &self.shared.counters;
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Counters::add(&counters.commits, 1);
        Counters::add(&counters.committed_records, sequences.end - sequences.start);
        Counters::add(&counters.commit_micros, micros);
    }

    /// Whether nobody waits for a request's answer any more, or it would wait in vain: its client
    /// would send it again and again.
    fn is_late(&self, submission: &Submission, now: SystemTime) -> bool {
        submission.deadline <= Instant::now() || self.is_backlogged(submission, now)
    }

    /// Whether a request that waits for the sink comes behind records that do not get there in time:
    /// its client would send it again and again.
    fn is_backlogged(&self, submission: &Submission, now: SystemTime) -> bool {
        if submission.durability == Durability::Journaled {
            return false;
        }
        if self.shared.unsent_age(now) > self.deadline {
            return true;
        }
        let held_back = self.shared.held_back.lock();
        submission.records.iter().any(|record| {
            let since = held_back.get(&record.key_hash());
            since
                .is_some_and(|since| now.duration_since(*since).unwrap_or_default() > self.deadline)
        })
    }

    /// Writes the cursor, if it is time for it.
    fn checkpoint(&mut self, now: Instant) {
        if now < self.checkpoint_at {
            return;
        }
        self.checkpoint_at = now + CHECKPOINT_EVERY;
        // With all ranges a commit can be a megabyte, which a backlog would keep on the disk.
        let all_ranges = now >= self.all_ranges_at;
        if all_ranges {
            self.all_ranges_at = now + ALL_RANGES_EVERY;
        }
        match self.appender.checkpoint(all_ranges) {
            Ok(()) | Err(AppendError::Full | AppendError::TooLarge { .. }) => {}
            Err(AppendError::Disk(error)) => {
                tracing::warn!(topic = self.shared.topic, %error, "cannot write the cursor");
            }
        }
        let too_old = self.shared.oldest_age(SystemTime::now()) > self.shared.age_max;
        self.note_full(too_old);
        self.keep_limit();
    }

    /// Keeps the size of the largest record that the sink takes, if it has changed.
    fn keep_limit(&mut self) {
        let kept = self.kept_limit.keep(self.shared.limit.get());
        let had_failed = std::mem::replace(&mut self.has_lost_limit, kept.is_err());
        if let Err(error) = kept
            && !had_failed
        {
            let topic = self.shared.topic;
            tracing::warn!(topic, %error, "cannot keep the size of the largest record");
        }
    }

    fn close(&mut self) {
        self.checkpoint_at = Instant::now();
        self.all_ranges_at = self.checkpoint_at;
        self.checkpoint(self.checkpoint_at);
        // Requests that still wait for the sink are answered: their records stay in the journal.
        let never = Instant::now() + Duration::from_hours(24);
        self.shared.waiting.expire(never);
        self.shared.waiting.forget_late();
        let backlog = self.shared.progress.status().counts.backlog();
        tracing::info!(topic = self.shared.topic, backlog, "closed the journal");
    }
}

/// Returns the records of a submission as requests of the journal, whose records have one context
/// each.
fn parts(records: &[Record]) -> impl Iterator<Item = Request<'_>> {
    records
        .chunk_by(|one, next| Arc::ptr_eq(&one.context, &next.context))
        .map(Request::new)
}

fn answer(submission: Submission, records: usize, outcome: Outcome) {
    submission.reply.end(smallvec![outcome; records]);
}
