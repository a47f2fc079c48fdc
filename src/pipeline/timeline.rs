//! The spans of a traced request, or of a traced record of a journal, at one worker: in the worker's
//! channel, in the batch that gathers, at the sink.

use std::time::Instant;

use iem_sink::Outcome;
use smallvec::SmallVec;

use crate::telemetry::traces::{Field, Span, SpanKind, Trace};

/// The most flights of a request that have spans at once.
const FLIGHTS_MAX: usize = 64;

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
    /// Since when records wait to be handed over.
    waiting_since: Option<Instant>,
    flights: SmallVec<[Flight; 1]>,
    /// The trace ends with these records: nobody else tells its span.
    is_whole: bool,
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
    /// Whether a record is to be sent again.
    is_sent_again: bool,
}

/// The unit of a flight, and its number there.
pub(super) type FlightId = (usize, u64);

impl Timeline {
    /// Begins it for records that are submitted now.
    pub(super) fn new(traced: Traced, submitted: Instant) -> Box<Self> {
        Box::new(Self {
            traced,
            submitted,
            waiting_since: None,
            flights: SmallVec::new(),
            is_whole: false,
            fault: None,
        })
    }

    /// Begins it for a record of a journal, which its trace ends with.
    pub(super) fn forwarded(traced: Traced, submitted: Instant) -> Box<Self> {
        Box::new(Self {
            is_whole: true,
            ..*Self::new(traced, submitted)
        })
    }

    /// Notes that the worker has taken the records.
    pub(super) fn taken(&mut self, now: Instant) {
        self.tell(Span::new("queue", self.submitted, now));
        self.waiting_since = Some(now);
    }

    /// Notes that the worker has not taken the records, because their unit settles nothing.
    pub(super) fn refused(mut self, now: Instant) {
        self.taken(now);
        self.settled(Outcome::Retryable);
        self.ended(now);
    }

    /// Notes that one more record was handed over, in a flight of so many.
    pub(super) fn sent(&mut self, id: FlightId, batch_records: usize, now: Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.tell(Span::new("batch", since, now));
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
                is_sent_again: false,
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
        flight.is_sent_again |= outcome == Outcome::Retryable;
        if flight.open > 0 {
            return;
        }
        let flight = self.flights.swap_remove(index);
        if flight.is_sent_again {
            self.waiting_since.get_or_insert(now);
        }
        self.tell_sent(&flight, now);
    }

    /// Notes the last outcome of a record.
    pub(super) fn settled(&mut self, outcome: Outcome) {
        self.fault = self.fault.or(fault(outcome));
    }

    /// Notes that the records were written to the journal, in a commit of so many.
    pub(super) fn journaled(mut self, began: Instant, ended: Instant, commit_records: usize) {
        self.taken(began);
        self.tell(Span {
            fields: vec![("iem.commit.records", commit_records.into())],
            ..Span::new("journal", began, ended)
        });
    }

    /// Notes that the journal has not taken the records.
    pub(super) fn not_journaled(mut self, now: Instant, outcome: Outcome) {
        self.taken(now);
        self.tell(Span {
            fault: fault(outcome).map(Into::into),
            ..Span::new("journal", now, now)
        });
    }

    /// Notes that no record is open any more.
    pub(super) fn ended(self, now: Instant) {
        if let (Some(since), Some(fault)) = (self.waiting_since, self.fault) {
            self.tell(Span {
                fault: Some(fault.into()),
                ..Span::new("batch", since, now)
            });
        }
        if self.is_whole {
            self.traced.trace.tell(Span {
                fields: vec![topic(&self.traced)],
                fault: self.fault.map(Into::into),
                ..Span::new("forward", self.submitted, now)
            });
        }
    }

    /// Tells the span of records that were at the sink.
    fn tell_sent(&self, flight: &Flight, now: Instant) {
        let Traced { sink, .. } = self.traced;
        self.tell(Span {
            kind: SpanKind::Client,
            fields: vec![
                // The far end, in the pictures that viewers draw.
                ("peer.service", sink.into()),
                topic(&self.traced),
                ("iem.records", flight.records.into()),
                ("iem.batch.records", flight.batch_records.into()),
            ],
            fault: flight.fault.map(Into::into),
            ..Span::new("send", flight.sent, now)
        });
    }

    fn tell(&self, span: Span) {
        self.traced.trace.tell_child(span);
    }
}

fn topic(traced: &Traced) -> Field {
    ("iem.topic", traced.topic.into())
}

/// Returns why a record with this outcome was not delivered.
fn fault(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Rejected(_) => Some("rejected by the sink"),
        Outcome::Retryable => Some("not delivered"),
        Outcome::Undeliverable => Some("not to be delivered as things are"),
    }
}
