//! The state of the gateway, as the admin listener shows it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::replays::Replays;
use crate::admin::{Readiness, State};
use crate::config::{Config, SettingsInUse};
use crate::http::transport::Draining;
use crate::idempotency::Window;
use crate::identity::Identity;
use crate::identity::quota::Quotas;
use crate::memory::MemoryBudget;
use crate::pipeline::{Backend, Vitals};
use crate::telemetry::traces::Tracer;
use crate::telemetry::{CertificateSnapshot, Metrics, Snapshot, TopicSnapshot};
use crate::tls::LiveTls;

/// The parts of the gateway that readiness and metrics are read from.
pub(super) struct GatewayState {
    pub(super) draining: Draining,
    pub(super) vitals: Arc<[Vitals]>,
    pub(super) backends: Vec<Arc<Backend>>,
    pub(super) identity: Arc<Identity>,
    pub(super) tls: Option<Arc<LiveTls>>,
    pub(super) admin_tls: Option<Arc<LiveTls>>,
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) connections_limit: usize,
    pub(super) window: Arc<Window>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) tracer: Option<Arc<Tracer>>,
    pub(super) settings: Arc<SettingsInUse>,
    pub(super) replays: Arc<Replays>,
    pub(super) config: Config,
}

impl State for GatewayState {
    fn readiness(&self) -> Readiness {
        let now = Instant::now();
        let down = self.vitals.iter().filter_map(|vitals| {
            let health = vitals.health();
            let reason = match vitals.journal(SystemTime::now()) {
                None => health.down(now)?,
                // A sink that is away costs nobody an answer before the journal is full.
                Some(journal) if !journal.is_full => return None,
                Some(_) => {
                    let reason = health.down(now);
                    let reason = reason.unwrap_or_else(|| "it takes its backlog".to_owned());
                    format!("the journal takes no records; {reason}")
                }
            };
            Some(format!(
                "topic {} at sink {}: {reason}",
                health.topic, health.sink
            ))
        });
        let directory = self.identity.directory().status().error;
        let keys = self.identity.tokens().error();
        let keys = keys.map(|error| error.to_string());
        let error = |tls: &Option<Arc<LiveTls>>| tls.as_ref().and_then(|tls| tls.status().error);
        let certificate = error(&self.tls).map(|error| format!("certificate: {error}"));
        let admin_certificate = error(&self.admin_tls);
        let admin_certificate =
            admin_certificate.map(|error| format!("certificate of the admin listener: {error}"));
        let directory = directory.map(|error| format!("directory: {error}"));
        let issuer = self.identity.issuer().and_then(|issuer| issuer.error());
        let issuer = issuer.map(|error| format!("keys of the external issuer: {error}"));
        Readiness {
            draining: self.draining.is_announced(),
            directory_too_old: self.identity.directory().is_too_old(),
            sinks_down: down.collect(),
            faulty_files: directory
                .into_iter()
                .chain(keys)
                .chain(issuer)
                .chain(certificate)
                .chain(admin_certificate)
                .collect(),
        }
    }

    fn metrics(&self) -> String {
        let backends = self.backends.iter();
        let statistics = backends.map(|backend| (backend.name, backend.sink.statistics()));
        self.metrics.render(&Snapshot {
            sinks: statistics.collect(),
            ..self.snapshot()
        })
    }
}

impl GatewayState {
    /// Returns what other parts count, without the statistics of sinks.
    pub(super) fn snapshot(&self) -> Snapshot {
        let counts = self.identity.counts();
        let status = self.identity.directory().status();
        let tokens = self.identity.tokens();
        Snapshot {
            topics: self.vitals.iter().map(topic).collect(),
            sinks: Vec::new(),
            memory: self.memory.used(),
            memory_limit: self.memory.limit(),
            idempotency: self.window.counts(),
            token_cache_hits: counts.token_hits,
            token_cache_misses: counts.token_misses,
            failed_logins: counts.failed_logins,
            spans: self
                .tracer
                .as_ref()
                .map(|tracer| tracer.counts())
                .unwrap_or_default(),
            connections_limit: self.connections_limit,
            directory_ok: status.error.is_none_or(|error| error.is_passing),
            directory_revision: status.revision,
            directory_stale: status.stale_for,
            directory_users: status.users,
            directory_customers: status.customers,
            token_keys_ok: tokens.error().is_none(),
            oidc_keys_stale: self
                .identity
                .issuer()
                .map(|issuer| issuer.stale_for())
                .unwrap_or_default(),
            token_key_created: tokens.signer_created(SystemTime::now()),
            certificate: self.tls.as_deref().map(certificate),
            admin_certificate: self.admin_tls.as_deref().map(certificate),
        }
    }
}

fn topic(vitals: &Vitals) -> TopicSnapshot {
    TopicSnapshot {
        topic: vitals.health().topic,
        sink: vitals.health().sink,
        records: vitals.records(),
        bytes: vitals.bytes(),
        records_max: vitals.records_max(),
        bytes_max: vitals.bytes_max(),
        balance: vitals.balance(),
        up: vitals.health().down(Instant::now()).is_none(),
        dead_lettered: vitals.dead_lettered(),
        dead_letters_lost: vitals.dead_letters_lost(),
        journal: vitals.journal(SystemTime::now()),
    }
}

fn certificate(tls: &LiveTls) -> CertificateSnapshot {
    let status = tls.status();
    CertificateSnapshot {
        ok: status.error.is_none(),
        end: status.validity.until,
        revocations_end: status.revocations_end,
    }
}
