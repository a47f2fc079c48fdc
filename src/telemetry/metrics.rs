//! Metrics of the gateway: names, labels and buckets. Labels are few and bounded: a customer is a
//! label only up to a configured number of series, and no other label takes a value from a client.
//!
//! Format: Prometheus text exposition format 0.0.4. `docs/metrics.md` lists every metric; a test
//! holds the two together.

mod counts;
mod idempotency;
mod journal;
mod process;
mod register;
mod sinks;
mod snapshot;
mod topics;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge, TextEncoder};

pub use self::counts::{Counts, EndpointCounts};
use self::process::ProcessMetrics;
use self::register::Register;
use self::snapshot::SnapshotMetrics;
pub use self::snapshot::{CertificateSnapshot, Snapshot, TopicSnapshot};
use self::topics::TopicMetrics;
use super::customers::CustomerCounts;
use super::endpoint::Endpoint;
use super::limit::Limit;
use super::refusals::Refusals;
use crate::record::Kind;

/// The statuses that are answered; each has its counter ready, so that a request looks nothing up.
const STATUSES: [u16; 16] = [
    200, 304, 400, 401, 403, 404, 405, 413, 414, 415, 422, 429, 431, 500, 503, 0,
];

/// From 100 µs, a request that waits for no other part, to 15 s, where clients give up.
const REQUEST_SECONDS: [f64; 15] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    15.0,
];

/// All metrics of one gateway.
pub struct Metrics {
    register: Register,
    endpoints: [EndpointMetrics; Endpoint::ALL.len()],
    topics: [Arc<TopicMetrics>; Kind::COUNT],
    connections: IntGauge,
    http2_connections: IntGauge,
    connections_total: IntCounter,
    over_quota: IntCounter,
    connections_failed: IntCounter,
    handshakes_failed: IntCounter,
    limits: [IntCounter; Limit::ALL.len()],
    customers: CustomerCounts,
    refusals: Refusals,
    snapshot: SnapshotMetrics,
    process: ProcessMetrics,
}

/// The count of an open connection.
pub struct OpenConnection(IntGauge);

impl OpenConnection {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct EndpointMetrics {
    statuses: [IntCounter; STATUSES.len()],
    seconds: Histogram,
}

impl Metrics {
    /// Creates all metrics at zero. `customer_series` bounds the customers that have series of
    /// their own.
    ///
    /// # Errors
    /// [`prometheus::Error`] when two metrics have one name: a fault of this file.
    pub fn new(customer_series: usize) -> Result<Arc<Self>, prometheus::Error> {
        let register = Register::new()?;
        let limits = register.counters(
            "limits_total",
            "How often clients have reached a limit.",
            &["limit"],
        )?;
        let build =
            register.gauges("build_info", "1, with the version that runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Arc::new(Self {
            endpoints: EndpointMetrics::all(&register)?,
            topics: TopicMetrics::all(&register)?,
            connections: register.gauge("connections", "Client connections open.")?,
            http2_connections: register.gauge(
                "http2_connections",
                "Those of the open client connections that speak HTTP/2.",
            )?,
            connections_total: register
                .counter("connections_total", "Client connections accepted.")?,
            over_quota: register.counter(
                "over_quota_records_total",
                "Records rejected because their customer is over its quota.",
            )?,
            connections_failed: register.counter(
                "connections_failed_total",
                "Client connections that ended in an error: broken off, late, or not HTTP.",
            )?,
            handshakes_failed: register.counter(
                "tls_handshakes_failed_total",
                "TLS handshakes that failed or came too late.",
            )?,
            limits: Limit::ALL.map(|limit| limits.with_label_values(&[limit.label()])),
            customers: CustomerCounts::new(customer_series),
            refusals: Refusals::new(),
            snapshot: SnapshotMetrics::new(&register)?,
            process: ProcessMetrics::new()?,
            register,
        }))
    }

    /// Counts an answered request.
    pub fn answered(&self, endpoint: Endpoint, status: u16, elapsed: Duration) {
        let metrics = &self.endpoints[endpoint.index()];
        let index = STATUSES
            .iter()
            .position(|known| *known == status)
            .unwrap_or(STATUSES.len() - 1);
        metrics.statuses[index].inc();
        metrics.seconds.observe(elapsed.as_secs_f64());
    }

    /// Returns the metrics of a topic, for its workers.
    pub fn topic(&self, kind: Kind) -> &Arc<TopicMetrics> {
        &self.topics[kind as usize]
    }

    /// Returns the counts of each customer's records.
    pub fn customers(&self) -> &CustomerCounts {
        &self.customers
    }

    /// Returns the latest refusals of each endpoint.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Counts an accepted connection. It counts as open until the guard is dropped.
    pub fn connection_opened(&self) -> OpenConnection {
        self.connections_total.inc();
        OpenConnection::new(&self.connections)
    }

    /// Counts a connection that goes on in HTTP/2, until the guard is dropped.
    pub fn http2_opened(&self) -> OpenConnection {
        OpenConnection::new(&self.http2_connections)
    }

    /// Counts a client that has reached a limit.
    pub fn reached(&self, limit: Limit) {
        self.limits[limit as usize].inc();
    }

    /// Counts records that were rejected because their customer is over its quota.
    pub fn over_quota(&self, records: usize) {
        self.over_quota.inc_by(records as u64);
    }

    /// Counts a connection that ended in an error.
    pub fn connection_failed(&self) {
        self.connections_failed.inc();
    }

    /// Counts a TLS handshake that failed.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Returns all metrics as text, with `snapshot` copied in. Called by one scrape at a time.
    pub fn render(&self, snapshot: &Snapshot) -> String {
        self.snapshot.set(snapshot, &self.customers);
        for (metrics, topic) in self.topics.iter().zip(&snapshot.topics) {
            metrics.set(&topic.balance);
        }
        let mut families = self.register.gather();
        families.extend(self.process.gather());
        for (sink, statistics) in &snapshot.sinks {
            families.extend(sinks::families(sink, statistics));
        }
        TextEncoder::new()
            .encode_to_string(&families)
            .unwrap_or_default()
    }
}

impl EndpointMetrics {
    fn all(register: &Register) -> Result<[Self; Endpoint::ALL.len()], prometheus::Error> {
        let requests = register.counters(
            "requests_total",
            "Requests answered.",
            &["endpoint", "status"],
        )?;
        let seconds = register.histograms(
            "request_seconds",
            "From a request's head to its answer.",
            &["endpoint"],
            &REQUEST_SECONDS,
        )?;
        Ok(Endpoint::ALL.map(|endpoint| Self {
            statuses: STATUSES.map(|status| {
                requests.with_label_values(&[endpoint.label(), &status_label(status)])
            }),
            seconds: seconds.with_label_values(&[endpoint.label()]),
        }))
    }
}

fn status_label(status: u16) -> String {
    if status == 0 {
        "other".to_owned()
    } else {
        status.to_string()
    }
}
