//! The counters as numbers, for the console.

use prometheus::Histogram;
use prometheus::core::Metric;
use prometheus::proto::Bucket;

use super::{EndpointMetrics, Metrics, REQUEST_SECONDS, STATUSES};
use crate::telemetry::Endpoint;
use crate::telemetry::limit::Limit;

/// The counters of one moment, since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Client connections that are open.
    pub connections: u64,
    /// Those of them that speak HTTP/2.
    pub http2_connections: u64,
    /// Client connections accepted.
    pub connections_total: u64,
    /// Client connections that ended in an error.
    pub connections_failed: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// The times that each limit was reached, by its label.
    pub limits: Vec<(&'static str, u64)>,
    /// The requests of each endpoint.
    pub endpoints: Vec<EndpointCounts>,
}

/// The requests of one endpoint.
#[derive(Clone, Debug, Default)]
pub struct EndpointCounts {
    /// The endpoint's label.
    pub endpoint: &'static str,
    /// Requests answered.
    pub answered: u64,
    /// Those answered 4xx.
    pub refused: u64,
    /// Those answered 503.
    pub unavailable: u64,
    /// Those answered 500.
    pub failed: u64,
    /// The requests that took no longer than each of [`LATENCY_BOUNDS`](Self::LATENCY_BOUNDS).
    pub within: Vec<u64>,
}

impl EndpointCounts {
    /// The bounds of `within`, in seconds.
    pub const LATENCY_BOUNDS: &'static [f64] = &REQUEST_SECONDS;

    fn new(endpoint: Endpoint, metrics: &EndpointMetrics) -> Self {
        let mut counts = Self {
            endpoint: endpoint.label(),
            ..Self::default()
        };
        for (status, counter) in STATUSES.into_iter().zip(&metrics.statuses) {
            let count = counter.get();
            counts.answered += count;
            match status {
                400..500 => counts.refused += count,
                500 => counts.failed += count,
                503 => counts.unavailable += count,
                _ => {}
            }
        }
        // A request is counted before its time: so no fewer times are known than requests.
        counts.within = within(&metrics.seconds);
        counts
    }
}

/// Returns the cumulative counts of a histogram's buckets.
fn within(histogram: &Histogram) -> Vec<u64> {
    let metric = histogram.metric();
    let buckets = metric.get_histogram().get_bucket().iter();
    buckets.map(Bucket::cumulative_count).collect()
}

impl Metrics {
    /// Returns the counters as they are now.
    pub fn counts(&self) -> Counts {
        let gauge = |gauge: &prometheus::IntGauge| u64::try_from(gauge.get()).unwrap_or_default();
        let limits = Limit::ALL.into_iter().zip(&self.limits);
        let endpoints = Endpoint::ALL.into_iter().zip(&self.endpoints);
        Counts {
            connections: gauge(&self.connections),
            http2_connections: gauge(&self.http2_connections),
            connections_total: self.connections_total.get(),
            connections_failed: self.connections_failed.get(),
            handshakes_failed: self.handshakes_failed.get(),
            limits: limits
                .map(|(limit, counter)| (limit.label(), counter.get()))
                .collect(),
            endpoints: endpoints
                .map(|(endpoint, metrics)| EndpointCounts::new(endpoint, metrics))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Kind;

    #[test]
    fn requests_are_counted_by_what_came_of_them_and_by_their_time() {
        let metrics = Metrics::new(0).expect("metrics");
        let events = Endpoint::Records(Kind::ALL[0]);
        for (status, millis) in [(200, 2), (200, 2), (401, 1), (503, 4_000), (500, 60_000)] {
            metrics.answered(events, status, Duration::from_millis(millis));
        }
        metrics.reached(Limit::Quota);
        let open = metrics.http2_opened();
        let counts = metrics.counts();
        let of_events = &counts.endpoints[0];
        assert_eq!(of_events.endpoint, Kind::ALL[0].topic());
        let sums = [of_events.answered, of_events.refused, of_events.unavailable];
        assert_eq!((sums, of_events.failed), ([5, 1, 1], 1));
        assert_eq!(of_events.within.len(), EndpointCounts::LATENCY_BOUNDS.len());
        assert_eq!(of_events.within.first(), Some(&0));
        assert_eq!(
            of_events.within.last(),
            Some(&4),
            "one took longer than all bounds"
        );
        assert!(counts.limits.contains(&("quota", 1)));
        assert_eq!(counts.http2_connections, 1);
        drop(open);
        assert_eq!(metrics.counts().http2_connections, 0);
    }
}
