//! The thread of one writer: it takes what has arrived, hands it over, settles what the sink tells,
//! and answers each request at its deadline at the latest. While one batch is in flight the next
//! gathers, so batches grow with the load.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iem_sink::{Settled, SinkError, SinkErrorKind, TopicConfig, Writer};

use super::backend::{Backend, Observer};
use super::books::{Books, Tally};
use super::channel::Receiver;
use super::delivery::{Delivery, Limits, Load, Terms};
use super::health::{Caller, Health};
use super::receipt::GRACE;
use super::rejected::RejectedQueue;
use super::size_limit::SizeLimit;
use crate::config::Topic;

/// The wait between two attempts to open a writer.
const REOPEN_WAIT: Duration = Duration::from_millis(500);
/// The wait before a writer that panicked is opened anew.
const REOPEN_AFTER_PANIC: Duration = Duration::from_millis(10);
/// The time between two looks at a writer's limit.
const LIMIT_EVERY: Duration = Duration::from_secs(5);
/// The time after which records in flight make the topic unready.
const OVERDUE: Duration = Duration::from_secs(1);

/// The time and the chance that a worker goes by. Tests bring their own.
pub(super) struct Surroundings {
    pub(super) now: Box<dyn Fn() -> Instant + Send>,
    /// Returns a random number between 0 and 1.
    pub(super) jitter: Box<dyn FnMut() -> f64 + Send>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            now: Box::new(Instant::now),
            jitter: Box::new(|| rand::random_range(0.0..=1.0)),
        }
    }
}

/// The parts of a topic that its workers report to.
#[derive(Clone)]
pub(super) struct Reports {
    pub(super) health: Arc<Health>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) books: Arc<Books>,
    /// The place where a writer's limit is noted, if somebody needs it.
    pub(super) limit: Option<Arc<SizeLimit>>,
    /// The queue of what the sink refuses, if that is kept.
    pub(super) rejected: Option<Arc<RejectedQueue>>,
}

impl Reports {
    /// Returns the reports of a topic's workers. `name` is the topic's name in logs.
    pub(super) fn new(
        name: &'static str,
        topic: &Topic,
        backend: &Backend,
        observer: &Arc<dyn Observer>,
        books: &Arc<Books>,
    ) -> Self {
        Self {
            health: Arc::new(Health::new(name, backend.name, topic.workers)),
            observer: Arc::clone(observer),
            books: Arc::clone(books),
            limit: None,
            rejected: None,
        }
    }
}

/// A topic's worker, and what it needs on its thread.
pub(super) struct Worker {
    index: usize,
    topic: TopicConfig,
    receiver: Receiver,
    /// `None` until it is opened, and after a panic.
    writer: Option<Box<dyn Writer>>,
    reopen_at: Instant,
    /// The sink will not open the topic until an operator changes something.
    is_refused: bool,
    /// The place where the writer's limit is noted, and the time of the next note.
    limit: Option<(Arc<SizeLimit>, Instant)>,
    backend: Arc<Backend>,
    health: Arc<Health>,
    observer: Arc<dyn Observer>,
    books: Arc<Books>,
    /// The records that the books know as held here.
    held: usize,
    delivery: Delivery,
    settled: Settled,
    now: Box<dyn Fn() -> Instant + Send>,
}

/// The next act of a worker after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: there is more to do.
    Step,
    /// Something that arrives or that the sink tells, or this time.
    Wait(Option<Instant>),
    /// Nothing any more: the channel is closed, and all is answered.
    End,
}

impl Worker {
    pub(super) fn new(
        index: usize,
        topic: &Topic,
        receiver: Receiver,
        backend: &Arc<Backend>,
        reports: Reports,
        surroundings: Surroundings,
    ) -> Self {
        let Surroundings { now, jitter } = surroundings;
        let Reports {
            health,
            observer,
            books,
            limit,
            rejected,
        } = reports;
        let for_sink = topic.for_sink();
        let half = |limit: usize| limit / topic.workers / 2;
        let limits = Limits {
            batch: Load::new(topic.batch_records, topic.batch_bytes),
            stalled: Load::new(half(topic.queue_records), half(topic.queue_bytes)),
            deadline: topic.deadline,
            linger: topic.linger,
            is_persistent: for_sink.is_persistent,
        };
        Self {
            index,
            topic: for_sink,
            receiver,
            writer: None,
            reopen_at: now(),
            is_refused: false,
            limit: limit.map(|limit| (limit, now())),
            backend: Arc::clone(backend),
            health,
            observer,
            books,
            held: 0,
            delivery: Delivery::new(limits, rejected, jitter),
            settled: Settled::default(),
            now,
        }
    }

    /// Starts the thread. Its first attempt to open the writer calls `opened` with the result.
    pub(super) fn spawn(
        mut self,
        opened: impl FnOnce(Result<(), SinkError>) + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let name = format!("{}-{}", self.health.topic, self.index);
        std::thread::Builder::new().name(name).spawn(move || {
            opened(self.open());
            self.run();
        })
    }

    /// Works until the channel is closed and all that it held is answered.
    fn run(mut self) {
        loop {
            match self.step() {
                Next::Step => {}
                Next::Wait(until) => self.receiver.wait(until),
                Next::End => return,
            }
        }
    }

    /// Takes what has arrived, settles what the sink has told, and hands one batch over.
    pub(super) fn step(&mut self) -> Next {
        let is_closed = self.receiver.is_closed();
        if self.writer.is_none() && !is_closed && (self.now)() >= self.reopen_at {
            let _ = self.open();
        }
        let now = (self.now)();
        let limit_at = self.note_limit(now);
        self.take(now);
        self.settle(now);
        self.delivery.expire(now);
        if self.is_refused {
            self.delivery.give_up(now);
        }
        let next = self.hand_over(now);
        self.report();
        match next {
            Ok(()) => Next::Step,
            // What a journal has is sent again after the next start.
            Err(_) if is_closed && self.topic.is_persistent => Next::End,
            Err(_) if is_closed && self.delivery.next_deadline().is_none() => Next::End,
            Err(until) => Next::Wait(until.into_iter().chain(limit_at).min()),
        }
    }

    /// Notes the writer's limit, if it is time for it. Returns the time of the next note.
    fn note_limit(&mut self, now: Instant) -> Option<Instant> {
        let writer = self.writer.as_ref()?;
        let (limit, at) = self.limit.as_mut()?;
        if *at <= now {
            limit.note(writer.limit());
            *at = now + LIMIT_EVERY;
        }
        Some(*at)
    }

    /// Opens the topic's writer at the sink.
    pub(super) fn open(&mut self) -> Result<(), SinkError> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            self.backend.sink.writer(&self.topic, self.receiver.waker())
        }))
        .unwrap_or_else(|_| Err(SinkError::transient("the sink panicked")));
        let now = (self.now)();
        self.reopen_at = now + REOPEN_WAIT;
        self.is_refused = false;
        match opened {
            Ok(writer) => {
                self.delivery
                    .assign(writer.units(), |record| writer.unit(record));
                if let Some((limit, _)) = &self.limit {
                    limit.note(writer.limit());
                }
                self.writer = Some(writer);
                self.health.opened(Caller::Worker(self.index));
                Ok(())
            }
            Err(error) => {
                self.is_refused = error.kind == SinkErrorKind::Permanent;
                self.health.fails(Caller::Worker(self.index), &error, now);
                Err(error)
            }
        }
    }

    fn take(&mut self, now: Instant) {
        let (delivery, writer) = (&mut self.delivery, self.writer.as_deref());
        self.receiver.take(|submission| {
            delivery.accept(submission, now, |record| {
                writer.map_or(0, |writer| writer.unit(record))
            });
        });
    }

    /// Takes what the writer has to tell.
    fn settle(&mut self, now: Instant) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        let settled = &mut self.settled;
        if catch_unwind(AssertUnwindSafe(|| writer.settle(settled))).is_err() {
            self.lose_writer(now);
        }
        self.use_settled(now);
    }

    /// Hands one batch over.
    ///
    /// # Errors
    /// The time at which to look again, if nothing is to be handed over now.
    fn hand_over(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        let terms = self.terms();
        let Some(writer) = &mut self.writer else {
            let due = self.delivery.next_deadline();
            return Err(due.into_iter().chain([self.reopen_at]).min());
        };
        let deadline = self.delivery.next_batch(terms, now)?;
        let deadline = deadline.min(now + self.topic.deadline);
        self.health.calls(Caller::Worker(self.index), deadline);
        let batch = self.delivery.batch();
        let settled = &mut self.settled;
        let sent = catch_unwind(AssertUnwindSafe(|| writer.send(&batch, deadline, settled)));
        drop(batch);
        let now = (self.now)();
        self.health.returned(Caller::Worker(self.index));
        if sent.is_err() {
            self.lose_writer(now);
        }
        self.use_settled(now);
        Ok(())
    }

    fn terms(&mut self) -> Terms {
        self.writer
            .as_mut()
            .map_or_else(Terms::default, |writer| Terms {
                time_needed: writer.time_needed(),
                epoch: writer.epoch(),
            })
    }

    /// Gives up a writer that panicked. What was in flight is not delivered, as far as is known.
    fn lose_writer(&mut self, now: Instant) {
        self.writer = None;
        self.reopen_at = now + REOPEN_AFTER_PANIC;
        // What it told before is lost with it: it is not delivered, as far as is known.
        self.settled.clear();
        self.settled
            .fault(SinkError::transient("the sink panicked"));
        self.delivery.lose_writer(now);
    }

    /// Settles records by what has been told, and notes how the sink does.
    fn use_settled(&mut self, now: Instant) {
        let keeps_order = self
            .writer
            .as_ref()
            .is_none_or(|writer| writer.keeps_order());
        // Nobody waits any more for these: they have ended with 503.
        if let Some(gone) = now.checked_sub(GRACE) {
            self.delivery.expire(gone);
        }
        self.delivery.settle(&self.settled, keeps_order, now);
        let caller = Caller::Worker(self.index);
        if let Some(error) = self.settled.take_error() {
            self.health.fails(caller, &error, now);
        } else if let Some(since) = self.overdue(now) {
            let writer = self.writer.as_deref();
            let error = writer.and_then(|writer| writer.obstacle(since));
            let error = error.unwrap_or_else(|| {
                SinkError::transient(format!("no answer since {} s", (now - since).as_secs()))
            });
            self.health.fails(caller, &error, now);
        } else if !self.settled.outcomes().is_empty() && !self.delivery.is_failing() {
            self.health.works(caller, now);
        }
        self.settled.clear();
    }

    /// Returns since when records are in flight, if that is too long.
    fn overdue(&self, now: Instant) -> Option<Instant> {
        let since = self.delivery.oldest_flight()?;
        (now.saturating_duration_since(since) > OVERDUE).then_some(since)
    }

    /// Reports the ends of records since the last report. Those of a journal's are in its own books.
    fn report(&mut self) {
        for (records, time) in self.delivery.take_ended() {
            self.observer.wrote(records, time);
        }
        let tally = self.delivery.take_tally();
        if tally != Tally::default() && !self.topic.is_persistent {
            let held = self.delivery.waited_for();
            self.books.tell(tally, self.held, held);
            self.held = held;
        }
    }
}
