//! One topic's bounded queue: its budget, and one channel to each of its workers. It never waits
//! for budget and never drops a record that it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::budget::{Budget, SubmitError};
use super::channel::{NotSent, Receiver, Sender, WakeGuard, channel};
use super::receipt::{Part, Receipt};
use super::records::Records;
use super::submission::Submission;
use crate::config::Topic;
use crate::shares::Claims;

/// The queue of one topic.
pub(super) struct Queue {
    budget: Arc<Budget>,
    deadline: Duration,
    senders: Vec<Sender>,
}

impl Queue {
    /// Creates a topic's queue and the receiving end for each of its workers.
    pub(super) fn new(topic: &Topic) -> (Self, Vec<Receiver>) {
        let budget = Budget::new(topic.queue_records, topic.queue_bytes);
        // No submission is without a record, so a channel is never fuller than the budget.
        let (senders, receivers) = (0..topic.workers)
            .map(|_| channel(budget.records_max()))
            .unzip();
        let queue = Self {
            budget,
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
        now: Instant,
    ) -> Result<Receipt, SubmitError> {
        let mut beyond = held_bytes.saturating_sub(bytes(&records));
        let mut reservation =
            self.budget
                .reserve(records.len(), bytes(&records) + beyond, claims)?;
        let deadline = now + self.deadline;
        let mut receipt = Receipt::new(records.len(), deadline);
        if let [sender] = &self.senders[..] {
            let (submission, reply) = Submission::new(records, reservation, deadline);
            let indexes = None;
            receipt.push(Part { reply, indexes }, send(sender, submission)?);
            return Ok(receipt);
        }
        for (sender, (indexes, records)) in self.senders.iter().zip(self.split(records)) {
            if records.is_empty() {
                continue;
            }
            // The first share counts what the request pins beyond its records.
            let held_bytes = bytes(&records) + std::mem::take(&mut beyond);
            let reservation = reservation.split(records.len(), held_bytes);
            let (submission, reply) = Submission::new(records, reservation, deadline);
            let indexes = Some(indexes);
            receipt.push(Part { reply, indexes }, send(sender, submission)?);
        }
        Ok(receipt)
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

    pub(super) fn request_records_max(&self) -> usize {
        self.budget.request_records_max()
    }

    pub(super) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }
}

/// Sends a worker its share of a request. The budget keeps every channel below its capacity, and a
/// worker lives as long as the queue. If one has ended all the same, the request is answered as by a
/// full topic.
fn send(sender: &Sender, submission: Submission) -> Result<Option<WakeGuard>, SubmitError> {
    sender.send(submission).map_err(|NotSent| SubmitError::Full)
}

fn bytes(records: &Records) -> usize {
    records.iter().map(|record| record.data.len()).sum()
}
