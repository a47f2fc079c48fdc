//! One plain thread for one topic's writer: takes what has arrived, writes it, settles it, tries
//! again what the sink left open until its deadline. While one write runs the next batch gathers,
//! so batches grow with the load.
//!
//! What is tried again stays at the head of the batch, ahead of later records of its key, and new
//! arrivals join behind it, so that one record's trouble does not hold up its neighbours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iem_sink::{Outcome, SinkError, SinkErrorKind, Writer};

use super::batch::Batch;
use super::lane::Receiver;
use super::{Backend, Caller, Health, Observer, TopicSettings};

/// The wait before the first retry; it doubles up to [`BACKOFF_MAX`], each time jittered to between
/// half and all.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    index: usize,
    settings: TopicSettings,
    receiver: Receiver,
    /// None after a panic, until it could be opened anew.
    writer: Option<Box<dyn Writer>>,
    backend: Arc<Backend>,
    health: Arc<Health>,
    observer: Arc<dyn Observer>,
    batch: Batch,
    outcomes: Vec<Outcome>,
}

impl Worker {
    pub(super) fn new(
        index: usize,
        settings: &TopicSettings,
        receiver: Receiver,
        writer: Box<dyn Writer>,
        backend: &Arc<Backend>,
        health: &Arc<Health>,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        Self {
            index,
            batch: Batch::new(settings.config.batch_records, settings.config.batch_bytes),
            settings: settings.clone(),
            receiver,
            writer: Some(writer),
            backend: Arc::clone(backend),
            health: Arc::clone(health),
            observer: Arc::clone(observer),
            outcomes: Vec::new(),
        }
    }

    pub(super) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        let name = format!("{}-{}", self.settings.topic, self.index);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || self.run())
    }

    /// Until the queue is closed and what it held is settled.
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

    /// Tops the batch up with what has arrived; waits only while it is empty. False when nothing
    /// will come any more.
    fn fill(&mut self) -> bool {
        let mut until = Instant::now();
        if self.batch.is_empty() {
            if self.receiver.peek(None).is_none() {
                return false;
            }
            until = Instant::now() + self.settings.linger;
        }
        self.gather(until);
        self.batch.expire(Instant::now());
        true
    }

    /// Adds what arrives until `until`, and what has already arrived, as far as it fits.
    fn gather(&mut self, until: Instant) {
        while !self.batch.is_full()
            && let Some(next) = self.receiver.peek(Some(until))
            && self.batch.fits(next)
            && let Some(submission) = self.receiver.pop()
        {
            self.batch.push(submission);
        }
    }

    /// One write of the whole batch, settled by the outcomes that the sink marked.
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

    /// A panic in a sink is a failed write: nothing of it counts as delivered, and the writer is
    /// opened anew.
    fn write_caught(&mut self, deadline: Instant) -> Result<(), SinkError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.backend.sink.writer(&self.settings.config)?),
        };
        let (records, outcomes) = (self.batch.records(), &mut self.outcomes[..]);
        catch_unwind(AssertUnwindSafe(|| {
            writer.write(records, outcomes, deadline)
        }))
        .unwrap_or_else(|_| {
            self.outcomes.fill(Outcome::Retryable);
            self.writer = None;
            Err(SinkError::transient("the sink panicked"))
        })
    }

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
