//! Accepted records on their way to a sink: bounded queues, batches, delivery with retries,
//! acknowledgement.
//!
//! One queue and its workers serve one topic and know of no other topic, so a flood or an outage of
//! one topic does not slow the rest. A queue takes all records of a request or none, and it never
//! waits: full is an answer. It returns one [`Outcome`](iem_sink::Outcome) a record, and only a
//! sink's own mark makes that `Delivered`.

mod backend;
mod batch;
mod budget;
mod channel;
mod health;
mod queue;
mod receipt;
mod records;
mod submission;
mod vitals;
mod worker;

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
use worker::Worker;

use crate::config::Topic;
use crate::threads::all_ended;

/// One topic's way from submission to acknowledgement.
pub struct Pipeline {
    queue: Queue,
    health: Arc<Health>,
    workers: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Opens a topic at its sink and starts its workers. `name` is the topic's name in logs,
    /// metrics and readiness.
    ///
    /// # Errors
    /// The sink's error if it cannot write the topic, or the operating system's if it gives no
    /// thread.
    pub fn start(
        name: &'static str,
        topic: &Topic,
        backend: &Arc<Backend>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, SinkError> {
        let (queue, receivers) = Queue::new(topic);
        let health = Arc::new(Health::new(name, backend.name, topic.workers));
        let workers = receivers
            .into_iter()
            .enumerate()
            .map(|(index, receiver)| {
                let worker = Worker::open(index, topic, receiver, backend, &health, observer)?;
                worker.spawn().map_err(|error| {
                    SinkError::transient(format!("no thread for topic {name}: {error}"))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            queue,
            health,
            workers,
        })
    }

    /// Takes all of a request's records or none, without waiting.
    ///
    /// # Errors
    /// [`SubmitError::Full`] if the topic has no budget for them now, [`SubmitError::TooLarge`] if
    /// it never can have.
    pub fn submit(&self, records: Records, now: Instant) -> Result<Receipt, SubmitError> {
        self.queue.submit(records, now)
    }

    /// Returns whether the topic takes nothing now, so that a request can be rejected before its
    /// body is read.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// Returns the most records that one request may have.
    pub fn records_max(&self) -> usize {
        self.queue.records_max()
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
mod tests;
