//! The traces of records on their way from a journal to the sink.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use iem_sink::{Context, Record};

use crate::pipeline::timeline::{Timeline, Traced};
use crate::telemetry::traces::Tracer;

/// Begins the trace of the first record of each request.
pub(super) struct RecordTraces {
    tracer: Arc<Tracer>,
    topic: &'static str,
    sink: &'static str,
    /// The context of the last record with a `traceparent`.
    last: Option<Arc<Context>>,
}

impl RecordTraces {
    /// Creates it for a topic, with the names in spans.
    pub(super) fn new(tracer: Arc<Tracer>, topic: &'static str, sink: &'static str) -> Self {
        Self {
            tracer,
            topic,
            sink,
            last: None,
        }
    }

    /// Begins the trace of a record that is sent now, for the first time, if its client samples it.
    pub(super) fn begin(&mut self, record: &Record) -> Option<Box<Timeline>> {
        let context = &record.context;
        let traceparent = context.traceparent.as_deref()?;
        let last = self.last.replace(Arc::clone(context));
        if last.is_some_and(|last| are_of_one_request(&last, context)) {
            return None;
        }
        let began = Instant::now();
        let trace = self.tracer.follow(traceparent, began, SystemTime::now())?;
        let traced = Traced {
            trace,
            topic: self.topic,
            sink: self.sink,
        };
        Some(Timeline::forwarded(traced, began))
    }
}

/// Returns whether records with these contexts are of one request. Each event of CloudEvents has a
/// context of its own.
fn are_of_one_request(one: &Context, other: &Context) -> bool {
    one.time == other.time && one.user == other.user
}
