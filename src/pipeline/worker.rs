//! The thread of one writer: it takes what has arrived, writes it as a batch, settles it, and tries
//! again what the sink left open until the deadline. While one write runs the next batch gathers,
//! so batches grow with the load.
//!
//! Records that are tried again stay at the head of the batch, ahead of later records of their key.
//! New arrivals join behind them, so that one record's trouble does not hold up its neighbours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iem_sink::{Outcome, SinkError, SinkErrorKind, TopicConfig, Writer};

use super::backend::{Backend, Observer};
use super::batch::Batch;
use super::channel::Receiver;
use super::health::{Caller, Health};
use crate::config::Topic;

/// The wait before the first retry. It doubles up to [`BACKOFF_MAX`]; each wait is jittered to
/// between half and all of it.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A topic's worker, and what it needs on its thread.
pub(super) struct Worker {
    index: usize,
    linger: Duration,
    topic: TopicConfig,
    receiver: Receiver,
    /// `None` after a panic, until it is opened anew.
    writer: Option<Box<dyn Writer>>,
    backend: Arc<Backend>,
    health: Arc<Health>,
    observer: Arc<dyn Observer>,
    batch: Batch,
    outcomes: Vec<Outcome>,
}

impl Worker {
    /// Opens the topic's writer at the sink.
    pub(super) fn open(
        index: usize,
        topic: &Topic,
        receiver: Receiver,
        backend: &Arc<Backend>,
        health: &Arc<Health>,
        observer: &Arc<dyn Observer>,
    ) -> Result<Self, SinkError> {
        let linger = topic.linger;
        let topic = topic.for_sink();
        Ok(Self {
            index,
            linger,
            receiver,
            writer: Some(backend.sink.writer(&topic)?),
            backend: Arc::clone(backend),
            health: Arc::clone(health),
            observer: Arc::clone(observer),
            batch: Batch::new(topic.batch_records, topic.batch_bytes),
            outcomes: Vec::new(),
            topic,
        })
    }

    pub(super) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        let name = format!("{}-{}", self.health.topic, self.index);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || self.run())
    }

    /// Works until the channel is closed and all that it held is settled.
    fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        while self.fill() {
            let error = self.write().err();
            self.batch.expire(Instant::now());
            if error.is_some_and(|error| error.kind == SinkErrorKind::Permanent) {
                self.batch.give_up();
            }
            self.report();
            if self.batch.is_empty() {
                backoff = BACKOFF_MIN;
            } else {
                self.pause(backoff);
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }

    /// Fills the batch with what has arrived; waits only while the batch is empty. Returns `false`
    /// once the channel is closed and everything is settled.
    fn fill(&mut self) -> bool {
        let mut until = Instant::now();
        if self.batch.is_empty() {
            if self.receiver.peek(None).is_none() {
                return false;
            }
            until = Instant::now() + self.linger;
        }
        self.gather(until);
        self.batch.expire(Instant::now());
        true
    }

    /// Adds what has already arrived, and what arrives until `until`, as far as it fits.
    fn gather(&mut self, until: Instant) {
        while !self.batch.is_full()
            && let Some(next) = self.receiver.peek(Some(until))
            && self.batch.fits(next)
            && let Some(submission) = self.receiver.pop()
        {
            self.batch.push(submission);
        }
    }

    /// Writes the whole batch once and settles it by the outcomes that the sink marked.
    fn write(&mut self) -> Result<(), SinkError> {
        let Some(deadline) = self.batch.deadline() else {
            return Ok(());
        };
        let began = Instant::now();
        self.outcomes.clear();
        self.outcomes
            .resize(self.batch.records().len(), Outcome::Retryable);
        self.health.calls(Caller::Worker(self.index), deadline);
        let result = self.write_caught(deadline);
        let ended = Instant::now();
        self.health
            .returned(Caller::Worker(self.index), &result, ended);
        self.observer.wrote(self.outcomes.len(), ended - began);
        self.batch.settle(&self.outcomes);
        result
    }

    /// Writes the batch. A panic in the sink is a failed write: none of its records counts as
    /// delivered, and the writer is opened anew.
    fn write_caught(&mut self, deadline: Instant) -> Result<(), SinkError> {
        catch_unwind(AssertUnwindSafe(|| {
            let writer = match &mut self.writer {
                Some(writer) => writer,
                none => none.insert(self.backend.sink.writer(&self.topic)?),
            };
            writer.write(self.batch.records(), &mut self.outcomes, deadline)
        }))
        .unwrap_or_else(|_| {
            self.outcomes.fill(Outcome::Retryable);
            self.writer = None;
            Err(SinkError::transient("the sink panicked"))
        })
    }

    /// Reports how records have ended since the last report.
    fn report(&mut self) {
        let tally = self.batch.take_tally();
        self.observer
            .settled(tally.delivered, tally.rejected, tally.undelivered);
    }

    /// Sleeps for a jittered `backoff`, but not past the first deadline.
    fn pause(&self, backoff: Duration) {
        let jittered = backoff.mul_f64(rand::random_range(0.5..=1.0));
        let due = self.batch.deadline().map_or(jittered, |due| {
            due.saturating_duration_since(Instant::now())
        });
        std::thread::sleep(jittered.min(due));
    }
}
