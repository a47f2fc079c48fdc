//! Metrics whose values other parts of the gateway keep: a scrape copies them in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iem_sink::Statistic;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::idempotency::IdempotencyMetrics;
use super::journal::JournalMetrics;
use super::register::Register;
use super::totals::{raise, signed};
use crate::idempotency::WindowCounts;
use crate::pipeline::{Balance, JournalVitals};
use crate::telemetry::audit;
use crate::telemetry::customers::CustomerCounts;
use crate::telemetry::traces::SpanCounts;

/// The values that other parts keep, at the moment of a scrape.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// One entry for each topic, by [`Kind`](crate::record::Kind).
    pub topics: Vec<TopicSnapshot>,
    /// The statistics of each sink in use, with the sink's name.
    pub sinks: Vec<(&'static str, Vec<Statistic>)>,
    /// Bytes of bodies and waiting records.
    pub memory: usize,
    /// The bound on them.
    pub memory_limit: usize,
    /// The idempotency keys that are known, and their repeats.
    pub idempotency: WindowCounts,
    /// Tokens found verified.
    pub token_cache_hits: u64,
    /// Tokens that had to be verified.
    pub token_cache_misses: u64,
    /// Logins with wrong credentials.
    pub failed_logins: u64,
    /// Spans of traces, by their end.
    pub spans: SpanCounts,
    /// The most client connections at once.
    pub connections_limit: usize,
    /// Whether the current content of the directory is loaded, as far as it can be reached.
    pub directory_ok: bool,
    /// The time for which it is not known that the directory in use is that of the file or database.
    pub directory_stale: Duration,
    /// The revision of the directory in use; 0 for a file.
    pub directory_revision: i64,
    /// Users in the directory.
    pub directory_users: usize,
    /// Customers in the directory.
    pub directory_customers: usize,
    /// Whether the token keys' current content is loaded.
    pub token_keys_ok: bool,
    /// The time for which fetches of the external issuer's keys have failed.
    pub oidc_keys_stale: Duration,
    /// The time at which the key that signs tokens was created.
    pub token_key_created: Option<SystemTime>,
    /// The certificate in use for clients, if the gateway serves them TLS.
    pub certificate: Option<CertificateSnapshot>,
    /// The certificate in use on the admin listener, if that serves TLS.
    pub admin_certificate: Option<CertificateSnapshot>,
}

/// The certificate's part of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct CertificateSnapshot {
    /// Whether its files' current content is loaded.
    pub ok: bool,
    /// Time of expiry.
    pub end: SystemTime,
    /// The time by which the first list of revoked client certificates is to be replaced.
    pub revocations_end: Option<SystemTime>,
}

/// One topic's part of a [`Snapshot`].
#[derive(Debug)]
pub struct TopicSnapshot {
    /// The topic's own name.
    pub topic: &'static str,
    /// The name of its sink.
    pub sink: &'static str,
    /// Records accepted and not settled.
    pub records: usize,
    /// Bytes of their data.
    pub bytes: usize,
    /// The bound on `records`.
    pub records_max: usize,
    /// The bound on `bytes`.
    pub bytes_max: usize,
    /// The sums of all records that it has accepted, and of their ends.
    pub balance: Balance,
    /// Whether deliveries succeed.
    pub up: bool,
    /// Records that the sink will never take and that were kept.
    pub dead_lettered: u64,
    /// Such records that could not be kept.
    pub dead_letters_lost: u64,
    /// The state of its journal, if it has one.
    pub journal: Option<JournalVitals>,
}

/// The metrics that a snapshot sets.
pub(super) struct SnapshotMetrics {
    queue_records: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    queue_limit_records: IntGaugeVec,
    queue_limit_bytes: IntGaugeVec,
    sink_up: IntGaugeVec,
    dead_lettered: IntCounterVec,
    dead_letters_lost: IntCounterVec,
    journals: JournalMetrics,
    memory: IntGauge,
    memory_limit: IntGauge,
    idempotency: IdempotencyMetrics,
    token_cache_hits: IntCounter,
    token_cache_misses: IntCounter,
    failed_logins: IntCounter,
    audit_left_out: IntCounter,
    spans: IntCounterVec,
    connections_limit: IntGauge,
    directory_ok: IntGauge,
    directory_stale: IntGauge,
    directory_revision: IntGauge,
    directory_users: IntGauge,
    directory_customers: IntGauge,
    token_keys_ok: IntGauge,
    oidc_keys_stale: IntGauge,
    token_key_created: IntGauge,
    certificate_ok: IntGaugeVec,
    certificate_end: IntGaugeVec,
    revocations_end: IntGauge,
    customers: IntCounterVec,
    other_customers: IntCounterVec,
}

impl SnapshotMetrics {
    pub(super) fn new(register: &Register) -> Result<Self, prometheus::Error> {
        let gauges = |name, help, labels: &[&str]| register.gauges(name, help, labels);
        Ok(Self {
            queue_records: gauges(
                "queue_records",
                "Records accepted and not settled.",
                &["topic"],
            )?,
            queue_bytes: gauges("queue_bytes", "Bytes accepted and not settled.", &["topic"])?,
            queue_limit_records: gauges(
                "queue_limit_records",
                "The bound on queue_records.",
                &["topic"],
            )?,
            queue_limit_bytes: gauges(
                "queue_limit_bytes",
                "The bound on queue_bytes.",
                &["topic"],
            )?,
            sink_up: gauges("sink_up", "1 while deliveries succeed.", &["topic", "sink"])?,
            dead_lettered: register.counters(
                "dead_lettered_total",
                "Records that the sink will never take, kept among the dead letters.",
                &["topic"],
            )?,
            dead_letters_lost: register.counters(
                "dead_letters_lost_total",
                "Records that the sink refused and that could not be kept.",
                &["topic"],
            )?,
            journals: JournalMetrics::new(register)?,
            memory: register.gauge("memory_bytes", "Bytes of bodies and waiting records.")?,
            memory_limit: register.gauge("memory_limit_bytes", "The bound on memory_bytes.")?,
            idempotency: IdempotencyMetrics::new(register)?,
            token_cache_hits: register
                .counter("token_cache_hits_total", "Tokens found verified.")?,
            token_cache_misses: register
                .counter("token_cache_misses_total", "Tokens verified anew.")?,
            failed_logins: register
                .counter("failed_logins_total", "Logins with wrong credentials.")?,
            audit_left_out: register.counter(
                "audit_left_out_total",
                "Entries that the audit log left out because too many came at once.",
            )?,
            spans: register.counters(
                "spans_total",
                "Spans of traces, by whether the collector has taken them.",
                &["outcome"],
            )?,
            connections_limit: register
                .gauge("connections_limit", "The bound on connections.")?,
            directory_ok: register
                .gauge("directory_loaded", "1 while the directory is valid.")?,
            directory_stale: register.gauge(
                "directory_stale_seconds",
                "Time for which it is not known that the directory in use is the file's or the database's.",
            )?,
            directory_revision: register
                .gauge("directory_revision", "Revision of the directory in use.")?,
            directory_users: register.gauge("directory_users", "Users in the directory.")?,
            directory_customers: register
                .gauge("directory_customers", "Customers in the directory.")?,
            token_keys_ok: register.gauge(
                "token_keys_loaded",
                "1 while the files of the token keys are valid.",
            )?,
            oidc_keys_stale: register.gauge(
                "oidc_keys_stale_seconds",
                "Time for which the keys of the external issuer could not be fetched.",
            )?,
            token_key_created: register.gauge(
                "token_key_created_seconds",
                "Unix time at which the key that signs tokens was created; 0 if its file does not say.",
            )?,
            certificate_ok: gauges(
                "tls_certificate_loaded",
                "1 while the certificate's files are valid; 0 without TLS.",
                &["listener"],
            )?,
            certificate_end: gauges(
                "tls_certificate_expires_seconds",
                "Unix time at which the certificate in use expires; 0 without TLS.",
                &["listener"],
            )?,
            revocations_end: register.gauge(
                "tls_revocations_expire_seconds",
                "Unix time by which the first list of revoked client certificates is to be \
                 replaced; 0 without one.",
            )?,
            customers: register.counters(
                "customer_records_total",
                "Records by customer, up to the bound on series.",
                &["customer", "outcome"],
            )?,
            other_customers: register.counters(
                "other_customers_records_total",
                "Records of all customers beyond the bound on series.",
                &["outcome"],
            )?,
        })
    }

    pub(super) fn set(&self, snapshot: &Snapshot, customers: &CustomerCounts) {
        for topic in &snapshot.topics {
            let records = self.queue_records.with_label_values(&[topic.topic]);
            records.set(signed(topic.records));
            let bytes = self.queue_bytes.with_label_values(&[topic.topic]);
            bytes.set(signed(topic.bytes));
            let limit = self.queue_limit_records.with_label_values(&[topic.topic]);
            limit.set(signed(topic.records_max));
            let limit = self.queue_limit_bytes.with_label_values(&[topic.topic]);
            limit.set(signed(topic.bytes_max));
            let up = self.sink_up.with_label_values(&[topic.topic, topic.sink]);
            up.set(i64::from(topic.up));
            let dead_lettered = self.dead_lettered.with_label_values(&[topic.topic]);
            raise(&dead_lettered, topic.dead_lettered);
            let lost = self.dead_letters_lost.with_label_values(&[topic.topic]);
            raise(&lost, topic.dead_letters_lost);
            if let Some(journal) = &topic.journal {
                self.journals.set(topic.topic, journal, &topic.balance);
            }
        }
        self.memory.set(signed(snapshot.memory));
        self.memory_limit.set(signed(snapshot.memory_limit));
        self.idempotency.set(&snapshot.idempotency);
        raise(&self.token_cache_hits, snapshot.token_cache_hits);
        raise(&self.token_cache_misses, snapshot.token_cache_misses);
        raise(&self.failed_logins, snapshot.failed_logins);
        raise(&self.audit_left_out, audit::left_out());
        for (outcome, spans) in [
            ("exported", snapshot.spans.exported),
            ("failed", snapshot.spans.failed),
            ("dropped", snapshot.spans.dropped),
        ] {
            raise(&self.spans.with_label_values(&[outcome]), spans);
        }
        self.connections_limit
            .set(signed(snapshot.connections_limit));
        self.directory_ok.set(i64::from(snapshot.directory_ok));
        self.directory_stale
            .set(whole_seconds(snapshot.directory_stale));
        self.directory_revision.set(snapshot.directory_revision);
        self.directory_users.set(signed(snapshot.directory_users));
        self.directory_customers
            .set(signed(snapshot.directory_customers));
        self.token_keys_ok.set(i64::from(snapshot.token_keys_ok));
        self.oidc_keys_stale
            .set(whole_seconds(snapshot.oidc_keys_stale));
        self.token_key_created
            .set(snapshot.token_key_created.map_or(0, unix_seconds));
        // Without TLS the server has its series all the same, as before there was another listener.
        let of_server = Some(("server", snapshot.certificate.as_ref()));
        let of_admin = snapshot.admin_certificate.as_ref();
        let of_admin = of_admin.map(|certificate| ("admin", Some(certificate)));
        for (listener, certificate) in of_server.into_iter().chain(of_admin) {
            let is_ok = certificate.is_some_and(|certificate| certificate.ok);
            let ok = self.certificate_ok.with_label_values(&[listener]);
            ok.set(i64::from(is_ok));
            let end_s = certificate.map_or(0, |certificate| unix_seconds(certificate.end));
            let end = self.certificate_end.with_label_values(&[listener]);
            end.set(end_s);
        }
        let certificate = snapshot.certificate.as_ref();
        let revocations_end = certificate.and_then(|certificate| certificate.revocations_end);
        self.revocations_end
            .set(revocations_end.map_or(0, unix_seconds));
        self.set_customers(customers);
    }

    fn set_customers(&self, customers: &CustomerCounts) {
        customers.for_each_series(|customer, accepted, refused| {
            // A customer may have any name, so the sum of the others is a metric of its own.
            let counter = |outcome| match customer {
                Some(customer) => self.customers.with_label_values(&[customer, outcome]),
                None => self.other_customers.with_label_values(&[outcome]),
            };
            raise(&counter("accepted"), accepted);
            raise(&counter("refused"), refused);
        });
    }
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
