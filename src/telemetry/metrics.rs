//! Every metric's name, labels and buckets. Labels are few and bounded: a customer is a label only
//! up to a configured number of series, and nothing else that a client chooses is one.
//!
//! Format: Prometheus text exposition format 0.0.4.

use std::array;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::customers::CustomerCounts;
use super::{Endpoint, Limit};
use crate::pipeline::Observer;
use crate::record::Kind;

const PREFIX: &str = "iem_gateway";

/// The statuses that are answered; each has its counter ready, so that a request looks nothing up.
const STATUSES: [u16; 14] = [
    200, 400, 401, 403, 404, 405, 413, 414, 415, 429, 431, 500, 503, 0,
];

/// From 100 µs, a request that waits for nobody, to 15 s, where clients give up.
const REQUEST_SECONDS: [f64; 15] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    15.0,
];
const WRITE_SECONDS: [f64; 14] = [
    0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0,
];
const BATCH_RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    endpoints: [EndpointMetrics; Endpoint::ALL.len()],
    topics: [Arc<TopicMetrics>; Kind::COUNT],
    connections: IntGauge,
    connections_total: IntCounter,
    over_quota: IntCounter,
    connections_failed: IntCounter,
    handshakes_failed: IntCounter,
    limits: [IntCounter; Limit::ALL.len()],
    customers: CustomerCounts,
    scraped: Scraped,
}

struct EndpointMetrics {
    statuses: [IntCounter; STATUSES.len()],
    seconds: Histogram,
}

/// What one topic's workers report.
pub struct TopicMetrics {
    delivered: IntCounter,
    rejected: IntCounter,
    undelivered: IntCounter,
    full: IntCounter,
    batch_records: Histogram,
    write_seconds: Histogram,
}

/// What is kept elsewhere and copied when it is asked for.
struct Scraped {
    queue_records: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    sink_up: IntGaugeVec,
    sink: GaugeVec,
    memory: IntGauge,
    memory_limit: IntGauge,
    token_cache_hits: IntCounter,
    token_cache_misses: IntCounter,
    failed_logins: IntCounter,
    directory_ok: IntGauge,
    directory_users: IntGauge,
    directory_customers: IntGauge,
    certificate_ok: IntGauge,
    certificate_end: IntGauge,
    customers: IntCounterVec,
    other_customers: IntCounterVec,
}

/// The values that other parts keep, at the moment of a scrape.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Of each topic.
    pub topics: Vec<TopicSnapshot>,
    /// What the sinks tell of themselves: sink, name, value.
    pub sinks: Vec<(&'static str, &'static str, f64)>,
    /// Bytes of bodies and waiting records.
    pub memory: usize,
    /// The bound on them.
    pub memory_limit: usize,
    /// Tokens found verified.
    pub token_cache_hits: u64,
    /// Tokens that had to be verified.
    pub token_cache_misses: u64,
    /// Logins with wrong credentials.
    pub failed_logins: u64,
    /// Whether the directory file as it stands has been loaded.
    pub directory_ok: bool,
    /// Users in the directory.
    pub directory_users: usize,
    /// Customers in the directory.
    pub directory_customers: usize,
    /// The certificate that holds, where there is one.
    pub certificate: Option<CertificateSnapshot>,
}

/// The certificate's part of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct CertificateSnapshot {
    /// Whether its files as they stand have been loaded.
    pub ok: bool,
    /// When it expires.
    pub end: SystemTime,
}

/// One topic's part of a [`Snapshot`].
#[derive(Debug)]
pub struct TopicSnapshot {
    /// The topic's own name.
    pub topic: &'static str,
    /// Its sink's.
    pub sink: &'static str,
    /// Records accepted and not settled.
    pub records: usize,
    /// Bytes of their data.
    pub bytes: usize,
    /// Whether deliveries succeed.
    pub up: bool,
}

impl Metrics {
    /// All metrics at zero. `customer_series` bounds the customers that have series of their own.
    ///
    /// # Errors
    /// [`prometheus::Error`] when two metrics have one name: a fault of this file.
    pub fn new(customer_series: usize) -> Result<Arc<Self>, prometheus::Error> {
        let register = Register(Registry::new_custom(Some(PREFIX.to_owned()), None)?);
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
        let endpoints = Endpoint::ALL.map(|endpoint| EndpointMetrics {
            statuses: STATUSES.map(|status| {
                requests.with_label_values(&[endpoint.label(), &status_label(status)])
            }),
            seconds: seconds.with_label_values(&[endpoint.label()]),
        });
        let topics = TopicMetrics::all(&register)?;
        let limits = register.counters(
            "limits_total",
            "How often clients have reached a limit.",
            &["limit"],
        )?;
        let build =
            register.gauges("build_info", "1, with the version that runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Arc::new(Self {
            endpoints,
            topics,
            connections: register.gauge("connections", "Client connections open.")?,
            connections_total: register
                .counter("connections_total", "Client connections accepted.")?,
            over_quota: register.counter(
                "over_quota_records_total",
                "Records refused because their customer is over its quota.",
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
            scraped: Scraped::new(&register)?,
            registry: register.0,
        }))
    }

    /// A request was answered.
    pub fn answered(&self, endpoint: Endpoint, status: u16, elapsed: Duration) {
        let metrics = &self.endpoints[endpoint.index()];
        let index = STATUSES
            .iter()
            .position(|known| *known == status)
            .unwrap_or(STATUSES.len() - 1);
        metrics.statuses[index].inc();
        metrics.seconds.observe(elapsed.as_secs_f64());
    }

    /// A topic's part, for its workers.
    pub fn topic(&self, kind: Kind) -> &Arc<TopicMetrics> {
        &self.topics[kind as usize]
    }

    /// Counts of each customer's records.
    pub fn customers(&self) -> &CustomerCounts {
        &self.customers
    }

    /// A connection was accepted; it counts as open until the guard is dropped.
    pub fn connection_opened(&self) -> impl Drop + use<> {
        struct Open(IntGauge);
        impl Drop for Open {
            fn drop(&mut self) {
                self.0.dec();
            }
        }
        self.connections_total.inc();
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// A client has reached a limit.
    pub fn reached(&self, limit: Limit) {
        self.limits[limit as usize].inc();
    }

    /// Records were refused because their customer is over its quota.
    pub fn over_quota(&self, records: usize) {
        self.over_quota.inc_by(records as u64);
    }

    /// A connection ended in an error.
    pub fn connection_failed(&self) {
        self.connections_failed.inc();
    }

    /// A TLS handshake failed.
    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// All metrics as text, with `snapshot` copied in. Called by one scrape at a time.
    pub fn render(&self, snapshot: &Snapshot) -> String {
        self.scraped.set(snapshot);
        self.customers
            .for_each_series(|customer, accepted, refused| {
                // A customer of any name may be in the directory, so the others have a metric of
                // their own.
                let counter = |outcome| match customer {
                    Some(customer) => self
                        .scraped
                        .customers
                        .with_label_values(&[customer, outcome]),
                    None => self.scraped.other_customers.with_label_values(&[outcome]),
                };
                raise(&counter("accepted"), accepted);
                raise(&counter("refused"), refused);
            });
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

impl TopicMetrics {
    fn all(register: &Register) -> Result<[Arc<Self>; Kind::COUNT], prometheus::Error> {
        let records = register.counters(
            "records_total",
            "Accepted records by what became of them, and records that found the queue full.",
            &["topic", "outcome"],
        )?;
        let batch = register.histograms(
            "batch_records",
            "Records a write.",
            &["topic"],
            &BATCH_RECORDS,
        )?;
        let seconds =
            register.histograms("write_seconds", "Time a write.", &["topic"], &WRITE_SECONDS)?;
        Ok(array::from_fn(|index| {
            let topic = Kind::ALL[index].topic();
            let records = |outcome| records.with_label_values(&[topic, outcome]);
            Arc::new(Self {
                delivered: records("delivered"),
                rejected: records("rejected"),
                undelivered: records("undelivered"),
                full: records("full"),
                batch_records: batch.with_label_values(&[topic]),
                write_seconds: seconds.with_label_values(&[topic]),
            })
        }))
    }

    /// So many records found no room.
    pub fn full(&self, records: usize) {
        self.full.inc_by(records as u64);
    }
}

impl Observer for TopicMetrics {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch is far below 2^52 records"
    )]
    fn wrote(&self, records: usize, elapsed: Duration) {
        self.batch_records.observe(records as f64);
        self.write_seconds.observe(elapsed.as_secs_f64());
    }

    fn settled(&self, delivered: usize, rejected: usize, undelivered: usize) {
        self.delivered.inc_by(delivered as u64);
        self.rejected.inc_by(rejected as u64);
        self.undelivered.inc_by(undelivered as u64);
    }
}

impl Scraped {
    fn new(register: &Register) -> Result<Self, prometheus::Error> {
        let customers = register.counters(
            "customer_records_total",
            "Records by customer, up to the bound on series.",
            &["customer", "outcome"],
        )?;
        let other_customers = register.counters(
            "other_customers_records_total",
            "Records of all customers beyond the bound on series.",
            &["outcome"],
        )?;
        Ok(Self {
            queue_records: register.gauges(
                "queue_records",
                "Records accepted and not settled.",
                &["topic"],
            )?,
            queue_bytes: register.gauges(
                "queue_bytes",
                "Bytes accepted and not settled.",
                &["topic"],
            )?,
            sink_up: register.gauges(
                "sink_up",
                "1 while deliveries succeed.",
                &["topic", "sink"],
            )?,
            sink: register.floats(
                "sink",
                "What a sink tells of itself; the README names the figures.",
                &["sink", "figure"],
            )?,
            memory: register.gauge("memory_bytes", "Bytes of bodies and waiting records.")?,
            memory_limit: register.gauge("memory_limit_bytes", "The bound on memory_bytes.")?,
            token_cache_hits: register
                .counter("token_cache_hits_total", "Tokens found verified.")?,
            token_cache_misses: register
                .counter("token_cache_misses_total", "Tokens verified anew.")?,
            failed_logins: register
                .counter("failed_logins_total", "Logins with wrong credentials.")?,
            directory_ok: register
                .gauge("directory_loaded", "1 while the directory file parses.")?,
            directory_users: register.gauge("directory_users", "Users in the directory.")?,
            directory_customers: register
                .gauge("directory_customers", "Customers in the directory.")?,
            certificate_ok: register.gauge(
                "tls_certificate_loaded",
                "1 while the certificate's files hold; 0 without TLS.",
            )?,
            certificate_end: register.gauge(
                "tls_certificate_expires_seconds",
                "When the certificate that holds expires, in Unix time; 0 without TLS.",
            )?,
            customers,
            other_customers,
        })
    }

    fn set(&self, snapshot: &Snapshot) {
        for topic in &snapshot.topics {
            self.queue_records
                .with_label_values(&[topic.topic])
                .set(signed(topic.records));
            self.queue_bytes
                .with_label_values(&[topic.topic])
                .set(signed(topic.bytes));
            self.sink_up
                .with_label_values(&[topic.topic, topic.sink])
                .set(i64::from(topic.up));
        }
        for (sink, figure, value) in &snapshot.sinks {
            self.sink.with_label_values(&[sink, figure]).set(*value);
        }
        self.memory.set(signed(snapshot.memory));
        self.memory_limit.set(signed(snapshot.memory_limit));
        raise(&self.token_cache_hits, snapshot.token_cache_hits);
        raise(&self.token_cache_misses, snapshot.token_cache_misses);
        raise(&self.failed_logins, snapshot.failed_logins);
        self.directory_ok.set(i64::from(snapshot.directory_ok));
        self.directory_users.set(signed(snapshot.directory_users));
        self.directory_customers
            .set(signed(snapshot.directory_customers));
        if let Some(CertificateSnapshot { ok, end }) = snapshot.certificate {
            self.certificate_ok.set(i64::from(ok));
            let end = end.duration_since(UNIX_EPOCH).unwrap_or_default();
            self.certificate_end
                .set(i64::try_from(end.as_secs()).unwrap_or(i64::MAX));
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn status_label(status: u16) -> String {
    if status == 0 {
        "other".to_owned()
    } else {
        status.to_string()
    }
}

struct Register(Registry);

impl Register {
    fn add<C: Collector + Clone + 'static>(
        &self,
        metric: Result<C, prometheus::Error>,
    ) -> Result<C, prometheus::Error> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help))
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add(IntGauge::new(name, help))
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn floats(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        self.add(HistogramVec::new(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
            labels,
        ))
    }
}
