//! Traces whose spans a test reads.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::Receiver;

use super::queue::SpanQueue;
use super::span::Trace;
use super::tracer::Tracer;
use crate::telemetry::Metrics;

/// A `traceparent` whose trace is sampled.
pub const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A tracer, and the spans that it tells.
pub struct Told {
    pub tracer: Arc<Tracer>,
    spans: Receiver<SpanData>,
}

impl Told {
    /// `per_second` bounds the traces that begin.
    pub fn new(per_second: u32) -> Self {
        let (queue, spans) = SpanQueue::new();
        let per_second = NonZeroU32::new(per_second).expect("not 0");
        let metrics = Metrics::new(0).expect("metrics");
        Self {
            tracer: Arc::new(Tracer::new(Arc::new(queue), per_second, &metrics)),
            spans,
        }
    }

    /// Begins a trace.
    pub fn begin(&self) -> Trace {
        let trace = self
            .tracer
            .begin(SAMPLED, Instant::now(), SystemTime::now());
        trace.expect("it is sampled, and there is room")
    }

    /// Returns the spans that were told since the last call, each as its name with its milliseconds
    /// and, behind it, why it failed.
    pub fn take(&mut self) -> Vec<String> {
        let spans = std::iter::from_fn(|| self.spans.try_recv().ok());
        spans.map(|span| text(&span)).collect()
    }

    /// Returns the names of the spans that were told since the last call, with their ids and those
    /// of their parents.
    pub fn take_ids(&mut self) -> Vec<(String, SpanId, SpanId)> {
        let spans = std::iter::from_fn(|| self.spans.try_recv().ok());
        let ids = |span: SpanData| {
            let id = span.span_context.span_id();
            (span.name.into_owned(), id, span.parent_span_id)
        };
        spans.map(ids).collect()
    }
}

fn text(span: &SpanData) -> String {
    let time = span.end_time.duration_since(span.start_time);
    let time = time.expect("it ends after its begin").as_millis();
    match &span.status {
        Status::Error { description } => format!("{} {time}: {description}", span.name),
        Status::Unset | Status::Ok => format!("{} {time}", span.name),
    }
}
