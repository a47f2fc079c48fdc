//! The spans of a traced request, or of a traced record of a journal, at one worker: in the worker's
//! channel, in the batch that gathers, at the sink.

use std::time::Instant;

use iem_sink::Outcome;
use smallvec::SmallVec;

use crate::telemetry::traces::{Field, Span, SpanKind, Trace};

/// The most flights of a request that have spans at once.
const FLIGHTS_MAX: usize = 16;
/// The most failed flights that have spans. A sink may be away for hours.
const FAILURES_MAX: u32 = 64;

/// The fault of a record that may be sent again.
const NOT_DELIVERED: &str = "not delivered";

/// The trace of a request, and the names in its spans.
#[derive(Clone)]
pub(super) struct Traced {
    pub(super) trace: Trace,
    pub(super) topic: &'static str,
    pub(super) sink: &'static str,
}

/// The times of a traced request at one worker.
pub(super) struct Timeline {
    traced: Traced,
    submitted: Instant,
    /// The records that wait to be handed over, and since when.
    waiting: usize,
    waiting_since: Instant,
    flights: SmallVec<[Flight; 1]>,
    /// The flights that have failed.
    failures: u32,
    /// The trace ends with these records, and its own span has not been told.
    owes_whole: bool,
    /// The reason why a record was not delivered.
    fault: Option<&'static str>,
}

/// The request's part of the records that were handed over together.
struct Flight {
    id: FlightId,
    sent: Instant,
    records: usize,
    open: usize,
    batch_records: usize,
    fault: Option<&'static str>,
}

/// The unit of a flight, and its number there.
pub(super) type FlightId = (usize, u64);

impl Timeline {
    /// Begins it for records that are submitted now.
    pub(super) fn new(traced: Traced, submitted: Instant) -> Box<Self> {
        Box::new(Self {
            traced,
            submitted,
            waiting: 0,
            waiting_since: submitted,
            flights: SmallVec::new(),
            failures: 0,
            owes_whole: false,
            fault: None,
        })
    }

    /// Begins it for a record of a journal, which its trace ends with.
    pub(super) fn forwarded(traced: Traced, submitted: Instant) -> Box<Self> {
        let mut timeline = Self::new(traced, submitted);
        timeline.owes_whole = true;
        timeline
    }

    /// Notes that the worker has taken so many records.
    pub(super) fn taken(&mut self, records: usize, now: Instant) {
        // They may have been submitted after the worker has looked at its clock.
        let now = now.max(self.submitted);
        self.tell(Span::new("queue", self.submitted, now));
        self.waiting = records;
        self.waiting_since = now;
    }

    /// Notes that the worker has not taken the records, because their unit settles nothing.
    pub(super) fn refused(mut self, now: Instant) {
        self.settled(Outcome::Retryable);
        self.tell(Span {
            fault: self.fault.map(Into::into),
            ..Span::new("queue", self.submitted, now)
        });
        self.end(now);
    }

    /// Notes that one more record was handed over, in a flight of so many.
    pub(super) fn sent(&mut self, id: FlightId, batch_records: usize, now: Instant) {
        let now = now.max(self.submitted);
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 && self.failures < FAILURES_MAX {
            self.tell(Span::new("batch", self.waiting_since, now));
        }
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.id == id) {
            flight.records += 1;
            flight.open += 1;
        } else if self.flights.len() < FLIGHTS_MAX {
            self.flights.push(Flight {
                id,
                sent: now,
                records: 1,
                open: 1,
                batch_records,
                fault: None,
            });
        }
    }

    /// Notes the outcome of one record of a flight.
    pub(super) fn arrived(&mut self, id: FlightId, outcome: Outcome, now: Instant) {
        let Some(index) = self.flights.iter().position(|flight| flight.id == id) else {
            return;
        };
        let flight = &mut self.flights[index];
        flight.open -= 1;
        flight.fault = flight.fault.or(fault(outcome));
        if flight.open > 0 {
            return;
        }
        let flight = self.flights.swap_remove(index);
        self.failures += u32::from(flight.fault.is_some());
        if flight.fault.is_none() || self.failures <= FAILURES_MAX {
            self.tell_sent(&flight, now);
        }
    }

    /// Notes that one more record waits to be handed over again.
    pub(super) fn waits_again(&mut self, now: Instant) {
        if self.waiting == 0 {
            self.waiting_since = now;
        }
        self.waiting += 1;
    }

    /// Notes that one record that waits is given up.
    pub(super) fn given_up(&mut self, outcome: Outcome, now: Instant) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.tell(Span {
                fault: fault(outcome).map(Into::into),
                ..Span::new("batch", self.waiting_since, now)
            });
        }
    }

    /// Notes the last outcome of a record.
    pub(super) fn settled(&mut self, outcome: Outcome) {
        self.fault = self.fault.or(fault(outcome));
    }

    /// Notes that the records were written to the journal, in a commit of so many.
    pub(super) fn journaled(mut self, began: Instant, ended: Instant, commit_records: usize) {
        self.taken(0, began);
        self.tell(Span {
            fields: vec![("iem.commit.records", commit_records.into())],
            ..Span::new("journal", began, ended)
        });
    }

    /// Notes that the journal has not taken the records.
    pub(super) fn not_journaled(mut self, now: Instant, outcome: Outcome) {
        self.taken(0, now);
        self.tell(Span {
            fault: fault(outcome).map(Into::into),
            ..Span::new("journal", now, now)
        });
    }

    /// Notes that no record is open any more.
    pub(super) fn ended(mut self, now: Instant) {
        self.end(now);
    }

    /// Tells the span of records that were at the sink.
    fn tell_sent(&self, flight: &Flight, now: Instant) {
        let Traced { sink, .. } = self.traced;
        self.tell(Span {
            kind: SpanKind::Client,
            fields: vec![
                // The far end, in the pictures that viewers draw.
                ("peer.service", sink.into()),
                self.topic(),
                ("iem.records", flight.records.into()),
                ("iem.batch.records", flight.batch_records.into()),
            ],
            fault: flight.fault.map(Into::into),
            ..Span::new("send", flight.sent, now)
        });
    }

    /// Tells the span of the whole trace, if nobody else does.
    fn end(&mut self, now: Instant) {
        if std::mem::take(&mut self.owes_whole) {
            // A record that comes back is sent again later.
            let fault = self.fault.map(|fault| match fault {
                NOT_DELIVERED => "held back in the journal",
                other => other,
            });
            self.traced.trace.tell(Span {
                fields: vec![
                    self.topic(),
                    ("iem.failures", (self.failures as usize).into()),
                ],
                fault: fault.map(Into::into),
                ..Span::new("forward", self.submitted, now)
            });
        }
    }

    fn tell(&self, span: Span) {
        self.traced.trace.tell_child(span);
    }

    fn topic(&self) -> Field {
        ("iem.topic", self.traced.topic.into())
    }
}

/// Tells the span of a record that has no outcome when the gateway stops.
impl Drop for Timeline {
    fn drop(&mut self) {
        if self.owes_whole {
            self.fault.get_or_insert("left in the journal");
            self.end(Instant::now());
        }
    }
}

/// Returns why a record with this outcome was not delivered.
fn fault(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Rejected(_) => Some("rejected by the sink"),
        Outcome::Retryable => Some(NOT_DELIVERED),
        Outcome::Undeliverable => Some("not to be delivered as things are"),
    }
}
