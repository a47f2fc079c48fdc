//! Spans of one trace: each has a begin, an end and a parent, and is told once it has ended.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceState};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::collector::scope;
use super::parent::Parent;
use super::queue::SpanQueue;

pub use opentelemetry::trace::SpanKind;

/// A field of a span: its name, as OpenTelemetry's semantic conventions have it where they do, and
/// its value.
pub type Field = (&'static str, FieldValue);

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A number of something.
    Count(usize),
}

impl From<&'static str> for FieldValue {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<usize> for FieldValue {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl From<FieldValue> for Value {
    fn from(value: FieldValue) -> Self {
        match value {
            FieldValue::Text(text) => Self::String(text.into()),
            FieldValue::Count(count) => Self::I64(i64::try_from(count).unwrap_or(i64::MAX)),
        }
    }
}

/// A span that has ended.
pub struct Span {
    /// Its name, of which there are few.
    pub name: Cow<'static, str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Its begin.
    pub began: Instant,
    /// Its end.
    pub ended: Instant,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The reason why it did not succeed.
    pub fault: Option<Cow<'static, str>>,
}

impl Span {
    /// Creates a span within the gateway that has succeeded.
    pub fn new(name: impl Into<Cow<'static, str>>, began: Instant, ended: Instant) -> Self {
        Self {
            name: name.into(),
            kind: SpanKind::Internal,
            began,
            ended,
            fields: Vec::new(),
            fault: None,
        }
    }
}

/// A span that has not ended. Others may be recorded below it, also after its end.
#[derive(Clone)]
pub struct Trace(Arc<Open>);

struct Open {
    queue: Arc<SpanQueue>,
    clock: Clock,
    parent: Parent,
    parent_is_remote: bool,
    id: SpanId,
}

/// One moment on two clocks: spans are measured with one that never jumps, and told in the time of
/// day.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

impl Clock {
    fn time_of(self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.time + later,
            None => self.time - self.instant.duration_since(instant),
        }
    }
}

impl Trace {
    /// Begins the first span of the gateway in a client's trace.
    pub(super) fn begin(queue: Arc<SpanQueue>, clock: Clock, parent: Parent) -> Self {
        Self(Arc::new(Open {
            queue,
            clock,
            parent,
            parent_is_remote: true,
            id: new_id(),
        }))
    }

    /// Begins a span below this one.
    pub fn child(&self) -> Self {
        let open = &*self.0;
        Self(Arc::new(Open {
            queue: Arc::clone(&open.queue),
            clock: open.clock,
            parent: Parent {
                span: open.id,
                ..open.parent
            },
            parent_is_remote: false,
            id: new_id(),
        }))
    }

    /// Tells a span below this one.
    pub fn tell_child(&self, span: Span) {
        self.child().tell(span);
    }

    /// Tells this span, which has ended. To be called once.
    pub fn tell(&self, span: Span) {
        let open = &*self.0;
        let Parent {
            trace,
            span: parent,
            flags,
        } = open.parent;
        let fields = span.fields.into_iter();
        open.queue.put(SpanData {
            span_context: SpanContext::new(trace, open.id, flags, false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: open.parent_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: open.clock.time_of(span.began),
            end_time: open.clock.time_of(span.ended.max(span.began)),
            attributes: fields
                .map(|(name, value)| KeyValue::new(name, value))
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.fault.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope(),
        });
    }
}

/// Returns an id that is not zero, which would be none.
fn new_id() -> SpanId {
    SpanId::from_bytes(rand::random_range(1..=u64::MAX).to_be_bytes())
}
