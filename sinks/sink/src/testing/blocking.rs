//! A writer that waits for the outcomes of what it sends.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::{
    DeliveryToken, Outcome, Record, Sending, Settled, Sink, SinkError, TopicConfig, Writer,
};

/// A writer that waits for the outcomes of what it sends, for tests and benches of sinks.
///
/// A record that is written again while it is in flight is not sent again: its outcome is awaited.
pub struct BlockingWriter {
    writer: Box<dyn Writer>,
    bell: Arc<Bell>,
    epoch: u64,
    tokens: u64,
    in_flight: HashMap<DeliveryToken, Uuid>,
    /// Outcomes that no call has returned yet.
    told: HashMap<Uuid, Outcome>,
    settled: Settled,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }
}

impl Bell {
    fn wait(&self, deadline: Instant) {
        let mut rung = self.rung.lock();
        while !*rung && !self.changed.wait_until(&mut rung, deadline).timed_out() {}
        *rung = false;
    }
}

impl BlockingWriter {
    /// Opens `topic` at `sink`.
    ///
    /// # Errors
    /// Those of [`Sink::writer`].
    pub fn open(sink: &dyn Sink, topic: &TopicConfig) -> Result<Self, SinkError> {
        let bell = Arc::new(Bell::default());
        let mut writer = sink.writer(topic, Waker::from(Arc::clone(&bell)))?;
        Ok(Self {
            epoch: writer.epoch(),
            writer,
            bell,
            tokens: 0,
            in_flight: HashMap::new(),
            told: HashMap::new(),
            settled: Settled::default(),
        })
    }

    /// Returns the writer itself.
    pub fn writer(&mut self) -> &mut dyn Writer {
        &mut *self.writer
    }

    /// Returns how many records are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends `records` in their order and waits for their outcomes until `deadline`: `outcomes[i]`
    /// belongs to `records[i]` and stays [`Outcome::Retryable`] without one.
    ///
    /// # Errors
    /// The reason why records are neither delivered nor rejected.
    pub fn write(
        &mut self,
        records: &[Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let began = Instant::now();
        let mut error = None;
        self.collect(&mut error);
        let epoch = self.writer.epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.wait_while(deadline, &mut error, |this| !this.in_flight.is_empty());
        }
        self.send(records, deadline);
        self.collect(&mut error);
        self.wait_while(deadline, &mut error, |this| {
            records.iter().any(|record| this.is_in_flight(record))
        });
        for (record, outcome) in records.iter().zip(&mut *outcomes) {
            *outcome = match self.told.remove(&record.id) {
                Some(Outcome::Undeliverable) | None => Outcome::Retryable,
                Some(outcome) => outcome,
            };
        }
        if !outcomes.contains(&Outcome::Retryable) {
            return Ok(());
        }
        Err(error
            .or_else(|| self.writer.obstacle(began))
            .unwrap_or_else(|| SinkError::transient("no answer before the deadline")))
    }

    fn is_in_flight(&self, record: &Record) -> bool {
        self.in_flight.values().any(|id| *id == record.id)
    }

    fn send(&mut self, records: &[Record], deadline: Instant) {
        let mut sending = Vec::with_capacity(records.len());
        for record in records {
            let is_told = self.told.get(&record.id).is_some_and(|outcome| {
                matches!(outcome, Outcome::Delivered | Outcome::Rejected(_))
            });
            if is_told || !self.in_flight.is_empty() && self.is_in_flight(record) {
                continue;
            }
            self.told.remove(&record.id);
            self.tokens += 1;
            let token = DeliveryToken(self.tokens);
            sending.push(Sending { token, record });
        }
        for one in &sending {
            self.in_flight.insert(one.token, one.record.id);
        }
        if !sending.is_empty() {
            self.writer.send(&sending, deadline, &mut self.settled);
        }
    }

    fn wait_while(
        &mut self,
        deadline: Instant,
        error: &mut Option<SinkError>,
        waits: impl Fn(&Self) -> bool,
    ) {
        while waits(self) && Instant::now() < deadline {
            self.bell.wait(deadline);
            self.collect(error);
        }
    }

    fn collect(&mut self, error: &mut Option<SinkError>) {
        self.writer.settle(&mut self.settled);
        for (token, outcome) in self.settled.outcomes() {
            let id = self.in_flight.remove(token);
            let id = id.expect("an outcome is told once, of a record that was sent");
            self.told.insert(id, *outcome);
        }
        if let Some(told) = self.settled.take_error() {
            error.get_or_insert(told);
        }
        self.settled.clear();
    }
}
