//! A sink in memory. It keeps copies, for the bytes themselves stay counted while somebody holds
//! them.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use iem_sink::{Outcome, Reason, Record, Sending, Settled, Sink, SinkError, TopicConfig, Writer};

/// The treatment of records by the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Each is delivered.
    Deliver,
    /// Every second one of a batch is never taken.
    Reject,
    /// None is delivered.
    Fail,
    /// Every second one of a batch is not delivered.
    FailSome,
}

impl Behaviour {
    /// The behaviour that this byte stands for.
    pub fn of(byte: u8) -> Self {
        [Self::Deliver, Self::Reject, Self::Fail, Self::FailSome][usize::from(byte % 4)]
    }
}

/// A record that was delivered.
#[derive(Debug)]
pub struct Seen {
    /// The type of its `CloudEvents` event, such as `iem.ticket`.
    pub kind: String,
    /// The customer.
    pub customer: String,
    /// The email of the user who sent it.
    pub user: String,
    /// The ordering key.
    pub key: String,
    /// The integration of a ticket.
    pub integration: Option<String>,
    /// The state of a ticket.
    pub state: Option<String>,
    /// The trace that the request belongs to.
    pub traceparent: Option<String>,
    /// The record's bytes.
    pub data: Vec<u8>,
}

impl Seen {
    /// Whether it is a ticket.
    pub fn is_ticket(&self) -> bool {
        self.kind == "iem.ticket"
    }
}

impl From<&Record> for Seen {
    fn from(record: &Record) -> Self {
        let context = &record.context;
        let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
        Self {
            kind: context.kind.to_string(),
            customer: record.customer.to_string(),
            user: context.user.to_string(),
            key: record.key.to_string(),
            integration: text(&context.integration),
            state: text(&context.actionable_state),
            traceparent: text(&context.traceparent),
            data: record.data.to_vec(),
        }
    }
}

/// The state of a sink: its records and its behaviour.
#[derive(Default)]
pub struct Sunk {
    records: Mutex<Vec<Seen>>,
    behaviour: AtomicU8,
}

impl Sunk {
    /// Sets the behaviour from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.store(behaviour as u8, Ordering::Relaxed);
    }

    /// Takes the records that were delivered since the last call.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.records.lock().expect("no writer panics"))
    }
}

/// A sink in memory.
pub struct MemorySink(pub Arc<Sunk>);

impl Sink for MemorySink {
    fn writer(&self, _: &TopicConfig, _: Waker) -> Result<Box<dyn Writer>, SinkError> {
        Ok(Box::new(MemoryWriter(Arc::clone(&self.0))))
    }

    fn check(&self, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(self: Box<Self>, _deadline: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

struct MemoryWriter(Arc<Sunk>);

impl Writer for MemoryWriter {
    fn send(&mut self, records: &[Sending<'_>], _: Instant, settled: &mut Settled) {
        let behaviour = Behaviour::of(self.0.behaviour.load(Ordering::Relaxed));
        let mut kept = self.0.records.lock().expect("no writer panics");
        for (index, Sending { token, record }) in records.iter().enumerate() {
            let outcome = match behaviour {
                // One that may pass would be tried again, for seconds.
                Behaviour::Fail => Outcome::Undeliverable,
                Behaviour::FailSome if index % 2 == 0 => Outcome::Undeliverable,
                Behaviour::Reject if index % 2 == 0 => {
                    Outcome::Rejected(Reason::TooLarge { limit: 1 })
                }
                _ => Outcome::Delivered,
            };
            match outcome {
                Outcome::Delivered => kept.push((*record).into()),
                Outcome::Undeliverable => settled.fault(SinkError::permanent("as it was told")),
                _ => {}
            }
            settled.tell(*token, outcome);
        }
    }
}
