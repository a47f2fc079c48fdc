//! Traces: the spans of requests whose client samples their trace, sent to a collector by OTLP over
//! gRPC.
//!
//! Only requests whose credentials are known are traced, up to a rate; for all others it is looked at
//! one byte of a header. Nothing waits for the collector: spans that it does not take in time are
//! dropped and counted.
//!
//! Sources: W3C Trace Context level 1, <https://www.w3.org/TR/trace-context-1/>; OpenTelemetry
//! Protocol 1, <https://opentelemetry.io/docs/specs/otlp/>.

mod collector;
mod exporter;
mod parent;
mod queue;
mod span;
#[cfg(test)]
pub mod testing;
mod tracer;

pub use collector::{CollectorError, answers};
pub use exporter::Exporter;
pub use queue::SpanCounts;
pub use span::{Field, FieldValue, Span, SpanKind, Trace};
pub use tracer::Tracer;
