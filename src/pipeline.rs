//! Accepted records on their way to a sink: bounded queues, batches, delivery with retries,
//! acknowledgement.
//!
//! One queue and its workers serve one topic and know of no other topic, so a flood or an outage of
//! one topic does not slow the rest. A queue takes all records of a request or none, and it never
//! waits: full is an answer. It returns one [`Outcome`](iem_sink::Outcome) a record, and only a
//! sink's own mark makes that `Delivered`.

mod backend;
mod books;
mod budget;
mod channel;
mod dead_letters;
mod delivery;
mod feed;
mod forwarded;
mod health;
mod journaled;
mod queue;
mod receipt;
mod records;
mod rejected;
mod size_limit;
mod submission;
mod tap;
mod timeline;
mod vitals;
mod worker;
mod workers;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::SinkError;

pub use backend::{Backend, Observer, Unobserved};
pub use books::Balance;
pub use budget::SubmitError;
pub use dead_letters::DeadLetterPlace;
pub use feed::Feed;
pub use health::{Caller, Health, LastError};
pub use journaled::JournalParts;
pub use receipt::{Answer, Receipt};
pub use records::{Outcomes, Records, forget_requests};
pub use rejected::RejectedParts;
pub use tap::{Sample, Tap};
pub use vitals::{JournalVitals, Vitals};

use books::Books;
use journaled::{Stage, forwarded};
use queue::Queue;
use rejected::RejectedThread;
use size_limit::SizeCheck;
use submission::Wanted;
use timeline::Traced;
use worker::Reports;
use workers::Workers;

use crate::config::{Durability, Topic};
use crate::shares::Claims;
use crate::telemetry::traces::Trace;

/// The time that the workers of a journaled topic have to end.
const WORKER_END: Duration = Duration::from_millis(200);

/// The demands of a request on its delivery.
#[derive(Clone, Default)]
pub struct Demand {
    /// The least that the client wants to hold when it is answered.
    pub durability: Option<Durability>,
    /// The outcomes that come after the deadline are wanted, too.
    pub wants_late: bool,
    /// The span below which the request's way is traced.
    pub trace: Option<Trace>,
}

/// One topic's way from submission to acknowledgement.
pub struct Pipeline {
    queue: Queue,
    books: Arc<Books>,
    /// The topic's journal, if it has one.
    journal: Option<Stage>,
    /// The check of records before they are journaled.
    size_check: Option<SizeCheck>,
    /// The thread that keeps what the sink of a topic without a journal refuses, if that is wanted.
    rejected: Option<RejectedThread>,
    workers: Workers,
    tap: Arc<Tap>,
}

impl Pipeline {
    /// Starts a topic's workers, which open it at its sink, and the threads of its journal, if it has
    /// one. `name` is the topic's name in logs, metrics and readiness.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(
        name: &'static str,
        topic: &Topic,
        backend: &Arc<Backend>,
        observer: &Arc<dyn Observer>,
        journal: Option<JournalParts<'_>>,
        rejected: Option<RejectedParts>,
    ) -> io::Result<Self> {
        // The workers of a journaled topic hold no more than is on its way from the journal.
        let held = journal
            .as_ref()
            .map_or_else(|| topic.clone(), |parts| forwarded(topic, parts.config));
        let progress = journal.as_ref().map(|parts| &parts.journal.progress);
        let books = Arc::new(Books::new(progress));
        let (queue, receivers, journal) = match journal {
            None => {
                let (queue, receivers) = Queue::new(topic, topic.workers, &books);
                (queue, receivers, None)
            }
            Some(parts) => {
                let (forward, receivers) = Queue::new(&held, topic.workers, &books);
                let (queue, stage) =
                    Stage::start(name, backend.name, topic, parts, forward, &books)?;
                (queue, receivers, Some(stage))
            }
        };
        let size_check = journal.as_ref().map(|stage| SizeCheck {
            limit: Arc::clone(stage.shared().limit()),
            backend: Arc::clone(backend),
            topic: held.for_sink(),
        });
        let mut reports = Reports::new(name, &held, backend, observer, &books);
        reports.limit = size_check.as_ref().map(|check| Arc::clone(&check.limit));
        let rejected = rejected.map(|parts| rejected::start(name, parts));
        let (rejected_queue, rejected) = rejected.transpose()?.unzip();
        reports.rejected = rejected_queue;
        let workers = Workers::start(&held, receivers, backend, reports)?;
        Ok(Self {
            queue,
            books,
            journal,
            size_check,
            rejected,
            workers,
            tap: Arc::default(),
        })
    }

    /// Waits until each worker has tried to open the topic, at most until `deadline`. Workers that
    /// have not succeeded try again while the topic runs.
    ///
    /// # Errors
    /// The sink's error if it does not take the topic.
    pub fn opened(&self, deadline: Instant) -> Result<(), SinkError> {
        for _ in 0..self.workers.count() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.workers.opened.recv_timeout(left) {
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
        mut records: Records,
        held_bytes: usize,
        claims: Claims,
        demand: Demand,
        now: Instant,
    ) -> Result<Receipt, SubmitError> {
        self.tap.take(&records, now);
        let least = if self.journal.is_some() {
            Durability::Journaled
        } else {
            Durability::Delivered
        };
        let durability = demand.durability.map_or(least, |asked| asked.max(least));
        let health = &self.workers.health;
        let wanted = Wanted {
            durability,
            wants_late: demand.wants_late,
            traced: demand.trace.map(|trace| {
                Box::new(Traced {
                    trace,
                    topic: health.topic,
                    sink: health.sink,
                })
            }),
        };
        let check = self.size_check.as_ref();
        let Some(too_large) = check.and_then(|check| check.take_out(&mut records)) else {
            return self.queue.submit(records, held_bytes, claims, &wanted, now);
        };
        let receipt = if records.is_empty() {
            Receipt::new(0, durability, now)
        } else {
            forget_requests(&mut records);
            self.queue
                .submit(records, held_bytes, claims, &wanted, now)?
        };
        self.books.reject(too_large.records);
        Ok(receipt.beside(too_large))
    }

    /// Returns whether the topic takes nothing now, so that a request can be rejected before its
    /// body is read.
    pub fn is_full(&self) -> bool {
        let journal = self.journal.as_ref();
        self.queue.is_full() || journal.is_some_and(|journal| journal.shared().is_full())
    }

    /// Returns whether the topic has a journal.
    pub fn is_journaled(&self) -> bool {
        self.journal.is_some()
    }

    /// Returns the time of a request from its acceptance to its answer.
    pub fn deadline(&self) -> Duration {
        self.queue.deadline()
    }

    /// Returns the most records that one request may have.
    pub fn request_records_max(&self) -> usize {
        self.queue.request_records_max()
    }

    /// Returns the topic's running state, for readiness and metrics.
    pub fn vitals(&self) -> Vitals {
        Vitals {
            budget: self.queue.budget(),
            books: Arc::clone(&self.books),
            health: Arc::clone(&self.workers.health),
            journal: self
                .journal
                .as_ref()
                .map(|journal| Arc::clone(journal.shared())),
            rejected: self
                .rejected
                .as_ref()
                .map(|thread| Arc::clone(thread.tally())),
            tap: Arc::clone(&self.tap),
        }
    }

    /// Has a journal forward what it has, at most until `deadline`. To be called on all topics before
    /// the first is closed.
    pub fn stop(&self, deadline: Instant) {
        if let Some(journal) = &self.journal {
            journal.stop(deadline);
        }
    }

    /// Takes nothing more and waits until all records are settled or `deadline` passes. Returns
    /// whether all threads have ended. What is left in a journal stays there.
    pub fn close(self, deadline: Instant) -> bool {
        drop(self.queue);
        match self.journal {
            None => {
                let have_ended = self.workers.have_ended(deadline);
                // Also beside a worker that hangs, so that what is not kept is told.
                self.rejected.is_none_or(|thread| thread.end(deadline)) && have_ended
            }
            Some(journal) => {
                let has_ended = journal.close(deadline);
                // One may still wait for the sink; then it does not end in time.
                self.workers.have_ended(Instant::now() + WORKER_END);
                has_ended
            }
        }
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
