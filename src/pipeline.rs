//! Accepted records on their way to a sink: bounded queues, batches, delivery with retries,
//! acknowledgement.
//!
//! One queue and its workers serve one topic and know of no other topic, so a flood or an outage of
//! one topic does not slow the rest. A queue takes all records of a request or none, and it never
//! waits: full is an answer. It returns one [`Outcome`](iem_sink::Outcome) a record, and only a
//! sink's own mark makes that `Delivered`.

mod backend;
mod budget;
mod channel;
mod delivery;
mod health;
mod queue;
mod receipt;
mod records;
mod submission;
mod vitals;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use iem_sink::SinkError;

pub use backend::{Backend, Observer};
pub use budget::SubmitError;
pub use health::{Caller, Health};
pub use receipt::Receipt;
pub use records::{Outcomes, Records};
pub use vitals::Vitals;

use queue::Queue;
use worker::{Surroundings, Worker};

use crate::config::Topic;
use crate::shares::Claims;
use crate::threads::all_ended;

/// One topic's way from submission to acknowledgement.
pub struct Pipeline {
    queue: Queue,
    health: Arc<Health>,
    workers: Vec<JoinHandle<()>>,
    /// The results of the workers' first attempts to open the topic.
    opened: crossbeam_channel::Receiver<Result<(), SinkError>>,
}

impl Pipeline {
    /// Starts a topic's workers, which open it at its sink. `name` is the topic's name in logs,
    /// metrics and readiness.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        name: &'static str,
        topic: &Topic,
        backend: &Arc<Backend>,
        observer: &Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let (queue, receivers) = Queue::new(topic);
        let health = Arc::new(Health::new(name, backend.name, topic.workers));
        let (sender, opened) = crossbeam_channel::unbounded();
        let workers = receivers
            .into_iter()
            .enumerate()
            .map(|(index, receiver)| {
                let surroundings = Surroundings::default();
                let worker = Worker::new(
                    index,
                    topic,
                    receiver,
                    backend,
                    &health,
                    observer,
                    surroundings,
                );
                let sender = sender.clone();
                worker.spawn(move |result| drop(sender.send(result)))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            queue,
            health,
            workers,
            opened,
        })
    }

    /// Waits until each worker has tried to open the topic, at most until `deadline`. Workers that
    /// have not succeeded try again while the topic runs.
    ///
    /// # Errors
    /// The sink's error if it does not take the topic.
    pub fn opened(&self, deadline: Instant) -> Result<(), SinkError> {
        for _ in &self.workers {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.opened.recv_timeout(left) {
                Ok(result) => result?,
                Err(_) => return Err(SinkError::transient("the sink does not answer yet")),
            }
        }
        Ok(())
    }

    /// Takes all of a request's records or none, without waiting. `held_bytes` is what they pin in
    /// memory, which may be more than their own bytes. `claims` are those who hold them.
    ///
    /// # Errors
    /// [`SubmitError::Full`] if the topic has no budget for them now, [`SubmitError::OverShare`] if
    /// somebody's share is used up, [`SubmitError::TooLarge`] if it never can have.
    pub fn submit(
        &self,
        records: Records,
        held_bytes: usize,
        claims: Claims,
        now: Instant,
    ) -> Result<Receipt, SubmitError> {
        self.queue.submit(records, held_bytes, claims, now)
    }

    /// Returns whether the topic takes nothing now, so that a request can be rejected before its
    /// body is read.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Returns the most records that one request may have.
    pub fn request_records_max(&self) -> usize {
        self.queue.request_records_max()
    }

    /// Returns the topic's running state, for readiness and metrics.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            budget: self.queue.budget(),
            health: Arc::clone(&self.health),
        }
    }

    /// Takes nothing more and waits until all records are settled or `deadline` passes. Returns
    /// whether all workers have ended.
    pub fn close(self, deadline: Instant) -> bool {
        drop(self.queue);
        all_ended(&self.workers, deadline)
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
