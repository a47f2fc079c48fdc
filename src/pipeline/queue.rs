//! One topic's bounded queue: room in records and in bytes, and one channel a worker. It never waits for room and
//! never drops what it took.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use smallvec::SmallVec;

use super::submission::{Part, Receipt, Submission};
use super::{Records, TopicSettings};

/// Why a request's records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No room now.
    Full,
    /// More than the queue can ever hold.
    TooLarge,
}

pub(super) struct Queue {
    room: Arc<Room>,
    deadline: Duration,
    senders: Vec<Sender<Box<Submission>>>,
}

impl Queue {
    /// The queue, and the receiving end for each of the topic's workers.
    pub(super) fn new(settings: &TopicSettings) -> (Self, Vec<Receiver<Box<Submission>>>) {
        let room = Arc::new(Room {
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            records_max: settings.queue_records,
            bytes_max: settings.queue_bytes,
        });
        // A submission holds at least one record, so a channel of as many slots as records is never full before
        // the room is.
        let (senders, receivers) =
            (0..settings.config.workers).map(|_| bounded(settings.queue_records)).unzip();
        (Self { room, deadline: settings.config.deadline, senders }, receivers)
    }

    pub(super) fn submit(&self, records: Records, now: Instant) -> Result<Receipt, Refused> {
        let bytes = records.iter().map(|record| record.data.len()).sum();
        let mut place = Room::take(&self.room, records.len(), bytes)?;
        let deadline = now + self.deadline;
        let mut receipt = Receipt::new(records.len(), deadline);
        if let [sender] = &self.senders[..] {
            let (submission, reply) = Submission::new(records, place, deadline);
            send(sender, submission)?;
            receipt.expect(Part { reply, indexes: None });
            return Ok(receipt);
        }
        for (sender, (indexes, records)) in self.senders.iter().zip(self.split(records)) {
            if records.is_empty() {
                continue;
            }
            let bytes = records.iter().map(|record| record.data.len()).sum();
            let (submission, reply) = Submission::new(records, place.split(bytes, indexes.len()), deadline);
            send(sender, submission)?;
            receipt.expect(Part { reply, indexes: Some(indexes) });
        }
        Ok(receipt)
    }

    /// The records for each worker, with their places in the request: one key always goes to the same worker.
    fn split(&self, records: Records) -> Vec<(Vec<usize>, Records)> {
        let mut shares = vec![(Vec::new(), SmallVec::new()); self.senders.len()];
        for (index, record) in records.into_iter().enumerate() {
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&record.key);
            #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
            let (indexes, share) = &mut shares[hash as usize % self.senders.len()];
            indexes.push(index);
            share.push(record);
        }
        shares
    }

    pub(super) fn room(&self) -> Arc<Room> {
        Arc::clone(&self.room)
    }
}

/// Hands a submission to its worker. A worker lives as long as the queue; should it be gone all the same, the
/// submission's reply is dropped with it and the request is told that nothing was delivered.
fn send(sender: &Sender<Box<Submission>>, submission: Box<Submission>) -> Result<(), Refused> {
    sender.try_send(submission).map_err(|error| match error {
        TrySendError::Full(_) | TrySendError::Disconnected(_) => Refused::Full,
    })
}

/// How much of a topic's queue is taken. Counts from acceptance until the records are settled, so what a worker
/// holds in its batch counts too.
#[derive(Debug)]
pub(super) struct Room {
    records: AtomicUsize,
    bytes: AtomicUsize,
    records_max: usize,
    bytes_max: usize,
}

impl Room {
    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn take(room: &Arc<Self>, records: usize, bytes: usize) -> Result<Place, Refused> {
        if records > room.records_max || bytes > room.bytes_max {
            return Err(Refused::TooLarge);
        }
        // Taken first and looked at then, so that two requests never both get the last place; the `Place` gives
        // back what proves too much.
        let place = Place { room: Arc::clone(room), records, bytes };
        let records_taken = room.records.fetch_add(records, Ordering::Relaxed) + records;
        let bytes_taken = room.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if records_taken > room.records_max || bytes_taken > room.bytes_max {
            return Err(Refused::Full);
        }
        Ok(place)
    }
}

/// A share of a topic's room, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    records: usize,
    bytes: usize,
}

impl Place {
    /// Cuts a part off this share.
    fn split(&mut self, bytes: usize, records: usize) -> Self {
        self.bytes -= bytes;
        self.records -= records;
        Self { room: Arc::clone(&self.room), records, bytes }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.records.fetch_sub(self.records, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
