//! One topic's bounded queue: its room, and one lane a worker. It never waits for room and never
//! drops what it took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::lane::{Alarm, Closed, Receiver, Sender, lane};
use super::room::{Refused, Room};
use super::submission::{Part, Receipt, Submission};
use super::{Records, TopicSettings};

pub(super) struct Queue {
    room: Arc<Room>,
    deadline: Duration,
    senders: Vec<Sender>,
}

impl Queue {
    /// The queue, and the receiving end for each of the topic's workers.
    pub(super) fn new(settings: &TopicSettings) -> (Self, Vec<Receiver>) {
        let room = Room::new(settings.queue_records, settings.queue_bytes);
        let (senders, receivers) = (0..settings.config.workers).map(|_| lane()).unzip();
        (
            Self {
                room,
                deadline: settings.config.deadline,
                senders,
            },
            receivers,
        )
    }

    pub(super) fn submit(&self, records: Records, now: Instant) -> Result<Receipt, Refused> {
        let bytes = records.iter().map(|record| record.data.len()).sum();
        let mut place = Room::take(&self.room, records.len(), bytes)?;
        let deadline = now + self.deadline;
        let mut receipt = Receipt::new(records.len(), deadline);
        if let [sender] = &self.senders[..] {
            let (submission, reply) = Submission::new(records, place, deadline);
            receipt.expect(
                Part {
                    reply,
                    indexes: None,
                },
                send(sender, submission)?,
            );
            return Ok(receipt);
        }
        for (sender, (indexes, records)) in self.senders.iter().zip(self.split(records)) {
            if records.is_empty() {
                continue;
            }
            let bytes = records.iter().map(|record| record.data.len()).sum();
            let (submission, reply) =
                Submission::new(records, place.split(bytes, indexes.len()), deadline);
            receipt.expect(
                Part {
                    reply,
                    indexes: Some(indexes),
                },
                send(sender, submission)?,
            );
        }
        Ok(receipt)
    }

    /// The records for each worker, with their places in the request: one key always goes to the
    /// same worker.
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
        self.room.is_full()
    }

    pub(super) fn records_max(&self) -> usize {
        self.room.records_max()
    }

    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }
}

/// Hands a submission to its worker. A worker lives as long as the queue; should it be gone all the
/// same, the submission's reply is dropped with it and the request is told that nothing was
/// delivered.
fn send(sender: &Sender, submission: Submission) -> Result<Option<Alarm>, Refused> {
    sender.send(submission).map_err(|Closed| Refused::Full)
}
