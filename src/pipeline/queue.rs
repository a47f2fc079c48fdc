//! One topic's bounded queue: its budget, and one channel to each of its workers. It never waits
//! for budget and never drops a record that it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::Record;
use smallvec::SmallVec;

use super::books::Books;
use super::budget::{Budget, SubmitError};
use super::channel::{NotSent, Receiver, Sender, WakeGuard, channel};
use super::forwarded::Forwarded;
use super::receipt::{Part, Receipt};
use super::records::Records;
use super::submission::{Submission, Wanted};
use super::timeline::Timeline;
use crate::config::Topic;
use crate::shares::Claims;

/// The queue of one topic.
pub(super) struct Queue {
    budget: Arc<Budget>,
    books: Arc<Books>,
    deadline: Duration,
    senders: Vec<Sender>,
}

impl Queue {
    /// Creates a topic's queue and the receiving end for each of its workers.
    pub(super) fn new(topic: &Topic, workers: usize, books: &Arc<Books>) -> (Self, Vec<Receiver>) {
        let budget = Budget::new(topic.queue_records, topic.queue_bytes);
        // No submission is without a record, so a channel is never fuller than the budget.
        let (senders, receivers) = (0..workers).map(|_| channel(budget.records_max())).unzip();
        let queue = Self {
            budget,
            books: Arc::clone(books),
            deadline: topic.deadline,
            senders,
        };
        (queue, receivers)
    }

    /// Takes all of a request's records or none, without waiting.
    pub(super) fn submit(
        &self,
        records: Records,
        held_bytes: usize,
        claims: Claims,
        wanted: &Wanted,
        now: Instant,
    ) -> Result<Receipt, SubmitError> {
        let mut beyond = held_bytes.saturating_sub(bytes(&records));
        let mut reservation =
            self.budget
                .reserve(records.len(), bytes(&records) + beyond, claims)?;
        let deadline = now + self.deadline;
        let mut receipt = Receipt::new(records.len(), wanted.durability, deadline);
        if let [sender] = &self.senders[..] {
            let (submission, reply) = Submission::new(records, reservation, deadline, wanted, now);
            let indexes = None;
            receipt.push(Part { reply, indexes }, self.send(sender, submission)?);
            return Ok(receipt);
        }
        for (sender, (indexes, records)) in self.senders.iter().zip(self.split(records)) {
            if records.is_empty() {
                continue;
            }
            // The first share counts what the request pins beyond its records.
            let held_bytes = bytes(&records) + std::mem::take(&mut beyond);
            let reservation = reservation.split(records.len(), held_bytes);
            let (submission, reply) = Submission::new(records, reservation, deadline, wanted, now);
            let indexes = Some(indexes);
            receipt.push(Part { reply, indexes }, self.send(sender, submission)?);
        }
        Ok(receipt)
    }

    /// Returns whether a worker may be sent one more record of a journal.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.budget.has_room(bytes)
    }

    /// Sends one record of a journal, for which there [is room](Self::has_room), to its worker. The
    /// worker tells its outcome to the forwarder. Returns a wake guard if the worker is parked.
    pub(super) fn forward(
        &self,
        record: Record,
        round: u64,
        way: Forwarded,
        timeline: Option<Box<Timeline>>,
        now: Instant,
    ) -> Option<WakeGuard> {
        let reservation = self.budget.reserve_one(record.data.len());
        let sender = &self.senders[record.key_hash() as usize % self.senders.len()];
        let submission = Submission::forwarded(record, reservation, now, round, way, timeline);
        // A worker lives as long as the queue. If it has ended all the same, the way back tells so.
        sender.send(submission).ok().flatten()
    }

    /// Sends a worker its share of a request. The budget keeps every channel below its capacity, and
    /// a worker lives as long as the queue. If one has ended all the same, the request is answered as
    /// by a full topic.
    fn send(
        &self,
        sender: &Sender,
        submission: Submission,
    ) -> Result<Option<WakeGuard>, SubmitError> {
        let records = submission.records.len();
        self.books.accept(records);
        sender.send(submission).map_err(|NotSent| {
            self.books.take_back(records);
            SubmitError::Full
        })
    }

    /// Splits records by worker, with their indexes in the request. One key always goes to the same
    /// worker.
    fn split(&self, records: Records) -> Vec<(Vec<usize>, Records)> {
        let mut shares = vec![(Vec::new(), SmallVec::new()); self.senders.len()];
        for (index, record) in records.into_iter().enumerate() {
            let (indexes, share) = &mut shares[record.key_hash() as usize % self.senders.len()];
            indexes.push(index);
            share.push(record);
        }
        shares
    }

    pub(super) fn is_full(&self) -> bool {
        self.budget.is_full()
    }

    /// Returns the time of a request from its acceptance to its answer.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn request_records_max(&self) -> usize {
        self.budget.request_records_max()
    }

    pub(super) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }
}

fn bytes(records: &Records) -> usize {
    records.iter().map(|record| record.data.len()).sum()
}
