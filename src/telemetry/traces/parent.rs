//! The span of the client that a request names as its parent.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId};

/// The span of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) flags: TraceFlags,
}

impl Parent {
    /// Returns the parent that a valid `traceparent` names, if its trace is sampled: level 1 of Trace
    /// Context, section 3.2.2.5.1.
    pub(super) fn sampled(traceparent: &str) -> Option<Self> {
        let (ids, flags) = traceparent.rsplit_once('-')?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        if !TraceFlags::new(flags).is_sampled() {
            return None;
        }
        let mut ids = ids.split('-').skip(1);
        Some(Self {
            trace: TraceId::from_hex(ids.next()?).ok()?,
            span: SpanId::from_hex(ids.next()?).ok()?,
            // The other flags are not known, and level 1 has them sent on as zero.
            flags: TraceFlags::SAMPLED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_taken_from_a_sampled_trace_alone() {
        let of = |flags: &str| {
            Parent::sampled(&format!(
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"
            ))
        };
        let parent = of("01").expect("it is sampled");
        assert_eq!(parent.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span.to_string(), "b7ad6b7169203331");
        assert_eq!(of("03"), Some(parent), "a flag that is not known");
        for flags in ["00", "02", "fe"] {
            assert_eq!(of(flags), None, "{flags}");
        }
    }
}
