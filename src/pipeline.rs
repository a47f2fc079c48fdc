//! From an accepted request to its outcome: bounded queues, batches, delivery with retries,
//! acknowledgement.
//!
//! One queue and its workers serve one topic and know of no other, so a flood or an outage of one
//! does not slow the rest. A request's records enter all or not at all, without waiting: full is an
//! answer. What comes back is one [`Outcome`] a record, and only a sink's own mark makes that
//! `Delivered`.

mod batch;
mod health;
mod lane;
mod queue;
mod room;
mod submission;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iem_sink::{Outcome, Record, Sink, SinkError, TopicConfig};
use smallvec::SmallVec;

pub use health::{Caller, Health};
pub use room::Refused;
pub use submission::Receipt;

use queue::Queue;
use worker::Worker;

use crate::threads::all_ended;

/// The records of one request; nearly always one.
pub type Records = SmallVec<[Record; 1]>;
/// What became of them, in their order.
pub type Outcomes = SmallVec<[Outcome; 1]>;

/// A sink shared by the topics that use it, by the name the configuration gives it.
pub struct Backend {
    /// `file`, `kafka`, …
    pub name: &'static str,
    /// The sink itself.
    pub sink: Box<dyn Sink>,
}

/// What the pipeline needs to know of one topic.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// The topic's own name, in logs, metrics and readiness.
    pub topic: &'static str,
    /// The topic as its sink sees it.
    pub config: TopicConfig,
    /// The most records accepted and not yet settled.
    pub queue_records: usize,
    /// The most bytes of data accepted and not yet settled.
    pub queue_bytes: usize,
    /// How long the first record of a batch waits for company.
    pub linger: Duration,
}

/// What a worker tells of its doings. Called on worker threads, once a batch.
pub trait Observer: Send + Sync {
    /// A batch was written in `elapsed`, whatever became of it.
    fn wrote(&self, records: usize, elapsed: Duration);
    /// So many records were settled so.
    fn settled(&self, delivered: usize, rejected: usize, undelivered: usize);
}

/// How full a topic's queue is, and whether its deliveries succeed.
#[derive(Clone)]
pub struct Vitals {
    room: Arc<room::Room>,
    health: Arc<Health>,
}

impl Vitals {
    /// Records accepted and not yet settled.
    pub fn records(&self) -> usize {
        self.room.records()
    }

    /// Bytes of their data.
    pub fn bytes(&self) -> usize {
        self.room.bytes()
    }

    /// Whether deliveries succeed at present.
    pub fn health(&self) -> &Health {
        &self.health
    }
}

/// One topic's way from submission to acknowledgement.
pub struct Pipeline {
    queue: Queue,
    health: Arc<Health>,
    workers: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Opens the topic at its sink and starts its workers.
    ///
    /// # Errors
    /// What the sink says of a topic that it cannot write, or the operating system of a thread it
    /// does not give.
    pub fn start(
        settings: &TopicSettings,
        backend: &Arc<Backend>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, SinkError> {
        let (queue, receivers) = Queue::new(settings);
        let health = Arc::new(Health::new(
            settings.topic,
            backend.name,
            settings.config.workers,
        ));
        let workers = receivers
            .into_iter()
            .enumerate()
            .map(|(index, receiver)| {
                let writer = backend.sink.writer(&settings.config)?;
                let worker = Worker::new(
                    index, settings, receiver, writer, backend, &health, observer,
                );
                worker.spawn().map_err(|error| {
                    SinkError::transient(format!("no thread for {}: {error}", settings.topic))
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            queue,
            health,
            workers,
        })
    }

    /// Takes a request's records, all or none, without waiting.
    ///
    /// # Errors
    /// [`Refused::Full`] when there is no room now, [`Refused::TooLarge`] when there never can be.
    pub fn submit(&self, records: Records, now: Instant) -> Result<Receipt, Refused> {
        self.queue.submit(records, now)
    }

    /// Whether nothing would be taken now. So a request can be refused before its body is read.
    pub fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    /// The most records that one request may have: more never find room.
    pub fn records_max(&self) -> usize {
        self.queue.records_max()
    }

    /// What is to be known of the topic while it runs, for readiness and metrics.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            room: self.queue.room(),
            health: Arc::clone(&self.health),
        }
    }

    /// Takes nothing more, and waits until what was taken is settled or `deadline` passes. Says
    /// whether all workers have ended.
    pub fn close(self, deadline: Instant) -> bool {
        drop(self.queue);
        all_ended(&self.workers, deadline)
    }
}

#[cfg(test)]
mod tests;
