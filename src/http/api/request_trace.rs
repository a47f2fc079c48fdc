//! The trace of a request: its own span, and one for each of its stages.

use std::cell::OnceCell;
use std::time::{Instant, SystemTime};

use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};

use super::route::Route;
use crate::http::transport::Answer;
use crate::record;
use crate::telemetry::traces::{Field, FieldValue, Span, SpanKind, Trace, Tracer};

/// The trace of a request, if its client samples it and its credentials are known.
#[derive(Default)]
pub(super) struct RequestTrace(OnceCell<Box<Open>>);

struct Open {
    trace: Trace,
    began: Instant,
    /// The name of its own span.
    name: String,
    /// The fields of its own span, until that is told.
    fields: Option<Vec<Field>>,
}

impl RequestTrace {
    /// Begins the trace of a request that began at this moment, told by two clocks, unless it has
    /// begun.
    pub(super) fn begin(&self, tracer: &Tracer, head: &Parts, began: Instant, time: SystemTime) {
        if self.0.get().is_some() {
            return;
        }
        let traceparent = traceparent(&head.headers);
        let Some(trace) = traceparent.and_then(|text| tracer.begin(text, began, time)) else {
            return;
        };
        let (method, path) = (head.method.as_str(), &*Route::template(head.uri.path()));
        let text = |text: &str| FieldValue::Text(text.to_owned().into());
        let version = match head.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        let _ = self.0.set(Box::new(Open {
            trace,
            began,
            name: format!("{method} {path}"),
            fields: Some(vec![
                ("http.request.method", text(method)),
                ("http.route", text(path)),
                ("network.protocol.version", version.into()),
            ]),
        }));
    }

    /// Begins the stage in which so many records are delivered.
    pub(super) fn delivery(&self, records: usize) -> Stage {
        let mut stage = self.stage("deliver");
        if let Some(open) = &mut stage.0 {
            open.fields.push(("iem.records", records.into()));
        }
        stage
    }

    /// Begins a stage, which ends when it is dropped.
    pub(super) fn stage(&self, name: &'static str) -> Stage {
        Stage(self.0.get().map(|open| {
            Box::new(OpenStage {
                trace: open.trace.child(),
                name,
                began: Instant::now(),
                fields: Vec::new(),
            })
        }))
    }

    /// Tells a stage that began with the request and ends now.
    pub(super) fn first_stage(&self, name: &'static str) {
        if let Some(open) = self.0.get() {
            let span = Span::new(name, open.began, Instant::now());
            open.trace.tell_child(span);
        }
    }

    /// Tells the span of the request, which is answered now.
    pub(super) fn end(&mut self, answer: &Answer) {
        let Some(open) = self.0.get_mut() else {
            return;
        };
        let status = answer.status();
        let id = answer.headers().get("x-request-id");
        let id = id.and_then(|id| id.to_str().ok());
        if let Some(fields) = &mut open.fields {
            fields.push((
                "http.response.status_code",
                usize::from(status.as_u16()).into(),
            ));
            fields.extend(id.map(|id| ("iem.request_id", FieldValue::Text(id.to_owned().into()))));
        }
        let is_error = status.is_server_error();
        open.tell(is_error.then(|| format!("answered {}", status.as_u16())));
    }
}

impl Open {
    fn tell(&mut self, fault: Option<String>) {
        if let Some(fields) = self.fields.take() {
            self.trace.tell(Span {
                kind: SpanKind::Server,
                fields,
                fault: fault.map(Into::into),
                ..Span::new(std::mem::take(&mut self.name), self.began, Instant::now())
            });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // The client went away, or the request was cut off.
        self.tell(Some("ended without an answer".to_owned()));
    }
}

/// A stage of a request. Dropping it ends it. Small, because nearly every request has none.
pub(super) struct Stage(Option<Box<OpenStage>>);

struct OpenStage {
    trace: Trace,
    name: &'static str,
    began: Instant,
    fields: Vec<Field>,
}

impl Stage {
    /// Returns its span, for others below it.
    pub(super) fn trace(&self) -> Option<Trace> {
        self.0.as_ref().map(|open| open.trace.clone())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.trace.tell(Span {
                fields: open.fields,
                ..Span::new(open.name, open.began, Instant::now())
            });
        }
    }
}

/// Returns the `traceparent` of a request with these headers, if it is valid.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    record::traceparent(headers.get("traceparent")?.as_bytes())
}

/// Returns the id of the trace that a request with these headers belongs to.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    traceparent(headers)?.split('-').nth(1)
}
