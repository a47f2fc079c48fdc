//! The resources that all endpoints share.

use std::sync::Arc;

use super::parse_pool::ParsePool;
use crate::config;
use crate::idempotency::Window;
use crate::identity::Identity;
use crate::identity::quota::Quotas;
use crate::memory::MemoryBudget;
use crate::pipeline::Pipeline;
use crate::record::{AlertMapping, KeyFields, Kind};
use crate::shares::Ledger;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;

/// A topic as requests meet it.
pub struct Topic {
    /// The pipeline that delivers its records.
    pub pipeline: Pipeline,
    /// The fields that may hold a record's ordering key.
    pub key_fields: KeyFields,
}

/// The budget for bodies of requests without credentials, of which anybody may send many.
pub struct Strangers {
    /// The memory for all of them.
    pub memory: Arc<MemoryBudget>,
    /// The accounts of each peer's part of it, apart from what users there hold of the rest.
    pub peers: Arc<Ledger>,
}

impl Strangers {
    /// Creates a budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self {
            memory: MemoryBudget::new(bytes),
            peers: Ledger::new(0, 1),
        }
    }
}

/// The resources that all endpoints share, on all threads.
pub struct Resources {
    /// The configured name of the gateway: `source` of every record.
    pub source: Arc<str>,
    /// The configured bounds on heads and bodies.
    pub server: Arc<config::Server>,
    /// Users, their credentials and their rights.
    pub identity: Arc<Identity>,
    /// The budget for all bodies.
    pub memory: Arc<MemoryBudget>,
    /// The budget for requests without credentials.
    pub strangers: Strangers,
    /// The accounts of what customers, users and peers hold.
    pub ledger: Arc<Ledger>,
    /// The threads that parse large bodies.
    pub parse_pool: ParsePool,
    /// The topics, by [`Kind`].
    pub topics: [Topic; Kind::COUNT],
    /// The labels that feed the events of Alertmanager's alerts.
    pub alert_mapping: Arc<AlertMapping>,
    /// The customers' quotas.
    pub quotas: Arc<Quotas>,
    /// The idempotency keys that are known.
    pub window: Arc<Window>,
    /// The metrics that requests count in.
    pub metrics: Arc<Metrics>,
    /// Begins the traces of requests, if there are any.
    pub tracer: Option<Arc<Tracer>>,
}

impl Resources {
    /// Returns the topic of a kind.
    pub(super) fn topic(&self, kind: Kind) -> &Topic {
        &self.topics[kind as usize]
    }
}
