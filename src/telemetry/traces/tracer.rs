//! The begin of traces: which requests have one.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::collector::CollectorError;
use super::exporter::Exporter;
use super::parent::Parent;
use super::queue::{SpanCounts, SpanQueue};
use super::span::{Clock, Trace};
use crate::config::Traces;
use crate::telemetry::{Limit, Metrics};

/// Decides which requests are traced.
pub struct Tracer {
    queue: Arc<SpanQueue>,
    requests: Rate,
    /// The rate of records on their way from a journal, so that a backlog takes no request's trace.
    records: Rate,
    metrics: Arc<Metrics>,
}

type Rate = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<RateInstant>>;
type RateInstant = <MonotonicClock as governor::clock::Clock>::Instant;

impl Tracer {
    /// Starts the thread that sends spans, if traces are on. `name` is the name of the gateway.
    ///
    /// # Errors
    /// [`CollectorError`] if the collector cannot be used as it is configured. Whether it is there
    /// does not matter.
    pub fn start(
        config: &Traces,
        name: &str,
        metrics: &Arc<Metrics>,
    ) -> Result<Option<(Arc<Self>, Exporter)>, CollectorError> {
        if !config.is_on() {
            return Ok(None);
        }
        let (queue, spans) = SpanQueue::new();
        let queue = Arc::new(queue);
        let exporter = Exporter::start(config, name, &queue, spans)?;
        let per_second = NonZeroU32::new(config.max_per_second).unwrap_or(NonZeroU32::MIN);
        let tracer = Self::new(queue, per_second, metrics);
        Ok(Some((Arc::new(tracer), exporter)))
    }

    pub(super) fn new(
        queue: Arc<SpanQueue>,
        per_second: NonZeroU32,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let quota = Quota::per_second(per_second);
        Self {
            queue,
            requests: RateLimiter::direct_with_clock(quota, MonotonicClock),
            records: RateLimiter::direct_with_clock(quota, MonotonicClock),
            metrics: Arc::clone(metrics),
        }
    }

    /// Begins the trace of a request that began at this moment, told by two clocks, if its client
    /// samples it and not too many have begun. `traceparent` is valid.
    pub fn begin(&self, traceparent: &str, began: Instant, time: SystemTime) -> Option<Trace> {
        self.begin_at(&self.requests, traceparent, began, time)
    }

    /// Does the same for a record of a journal.
    pub fn follow(&self, traceparent: &str, began: Instant, time: SystemTime) -> Option<Trace> {
        self.begin_at(&self.records, traceparent, began, time)
    }

    fn begin_at(
        &self,
        rate: &Rate,
        traceparent: &str,
        began: Instant,
        time: SystemTime,
    ) -> Option<Trace> {
        let parent = Parent::sampled(traceparent)?;
        if rate.check().is_err() {
            self.metrics.reached(Limit::Traces);
            return None;
        }
        let clock = Clock {
            instant: began,
            time,
        };
        Some(Trace::begin(Arc::clone(&self.queue), clock, parent))
    }

    /// Returns how many spans have ended how.
    pub fn counts(&self) -> SpanCounts {
        self.queue.counts()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::SPANS_WAITING_MAX;
    use crate::telemetry::traces::Span;
    use crate::telemetry::traces::queue::WHOLE_REQUESTS;
    use crate::telemetry::traces::testing::{SAMPLED, Told};

    use super::*;

    #[test]
    fn spans_hang_together_and_have_their_times() {
        let mut told = Told::new(1);
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let trace = told.tracer.begin(SAMPLED, at(10), SystemTime::now());
        let trace = trace.expect("it is sampled");
        let stage = trace.child();
        stage.tell_child(Span::new("below", at(12), at(13)));
        stage.tell(Span::new("stage", at(11), at(14)));
        // What is told may have begun before the trace.
        trace.tell(Span::new("whole", at(0), at(20)));
        let spans = told.take_ids();
        let [
            (below, _, parent),
            (stage, id, of_whole),
            (whole, whole_id, client),
        ] = &spans[..]
        else {
            panic!("{spans:?}");
        };
        assert_eq!([below, stage, whole], ["below", "stage", "whole"]);
        assert_eq!((parent, of_whole), (id, whole_id));
        assert_eq!(client.to_string(), "b7ad6b7169203331");
        trace.tell(Span::new("whole", at(0), at(20)));
        assert_eq!(told.take(), ["whole 20"]);
    }

    #[test]
    fn too_many_traces_in_a_second_do_not_begin() {
        let told = Told::new(10);
        let begin = || {
            told.tracer
                .begin(SAMPLED, Instant::now(), SystemTime::now())
        };
        let traces = (0..1_000).filter_map(|_| begin()).count();
        // A few more begin while the test runs.
        assert!((10..500).contains(&traces), "{traces}");
        let unsampled = SAMPLED.replace("-01", "-00");
        let trace = told
            .tracer
            .begin(&unsampled, Instant::now(), SystemTime::now());
        assert!(trace.is_none());
    }

    #[test]
    fn spans_that_find_no_room_are_dropped_and_counted() {
        let told = Told::new(1);
        let trace = told.begin();
        let now = Instant::now();
        for _ in 0..SPANS_WAITING_MAX {
            trace.tell_child(Span::new("stage", now, now));
        }
        assert_eq!(told.tracer.counts().dropped, WHOLE_REQUESTS as u64);
        for _ in 0..WHOLE_REQUESTS + 3 {
            trace.tell(Span::new("request", now, now));
        }
        assert_eq!(told.tracer.counts().dropped, WHOLE_REQUESTS as u64 + 3);
    }
}
