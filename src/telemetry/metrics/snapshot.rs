//! Metrics whose values other parts of the gateway keep: a scrape copies them in.

use std::time::{SystemTime, UNIX_EPOCH};

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
    /// Whether the directory file's current content is loaded.
    pub directory_ok: bool,
    /// Users in the directory.
    pub directory_users: usize,
    /// Customers in the directory.
    pub directory_customers: usize,
    /// The certificate in use, if the gateway serves TLS.
    pub certificate: Option<CertificateSnapshot>,
}

/// The certificate's part of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
pub struct CertificateSnapshot {
    /// Whether its files' current content is loaded.
    pub ok: bool,
    /// Time of expiry.
    pub end: SystemTime,
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
    directory_ok: IntGauge,
    directory_users: IntGauge,
    directory_customers: IntGauge,
    certificate_ok: IntGauge,
    certificate_end: IntGauge,
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
            directory_ok: register.gauge(
                "directory_loaded",
                "1 while the directory file and its ended sessions parse.",
            )?,
            directory_users: register.gauge("directory_users", "Users in the directory.")?,
            directory_customers: register
                .gauge("directory_customers", "Customers in the directory.")?,
            certificate_ok: register.gauge(
                "tls_certificate_loaded",
                "1 while the certificate's files are valid; 0 without TLS.",
            )?,
            certificate_end: register.gauge(
                "tls_certificate_expires_seconds",
                "Unix time at which the certificate in use expires; 0 without TLS.",
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
