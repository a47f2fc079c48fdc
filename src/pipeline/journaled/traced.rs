//! The traces of records on their way from a journal to the sink.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use iem_sink::{Context, Record};

use crate::pipeline::timeline::Traced;
use crate::telemetry::traces::Tracer;

/// Begins the trace of the first record of each request.
pub(super) struct RecordTraces {
    pub(super) tracer: Arc<Tracer>,
    pub(super) topic: &'static str,
    pub(super) sink: &'static str,
    /// What the last record shares with the others of its request.
    pub(super) last: Option<Arc<Context>>,
}

impl RecordTraces {
    /// Begins the trace of a record that is sent now, if its client samples it.
    pub(super) fn begin(&mut self, record: &Record, now: Instant) -> Option<Traced> {
        let context = &record.context;
        let traceparent = context.traceparent.as_deref()?;
        let last = self.last.replace(Arc::clone(context));
        if last.is_some_and(|last| Arc::ptr_eq(&last, context)) {
            return None;
        }
        let trace = self.tracer.begin(traceparent, now, SystemTime::now())?;
        Some(Traced {
            trace,
            topic: self.topic,
            sink: self.sink,
        })
    }
}
