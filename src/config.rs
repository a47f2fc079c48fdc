//! The configuration: defaults, overridden by a file, overridden by the environment, all checked
//! before any port opens.
//!
//! `config/defaults.toml` is embedded, and documents every key. A [`Config`] from [`load()`] is
//! within all limits stated there, so no other module checks them again: each takes the tables that
//! it needs. A fault is an [`Error`] that names the file and line, or the variable, and the key.
//! Nothing here opens the files that the configuration names; the modules that use them do.

mod admin;
mod alertmanager;
mod client_name;
mod durability;
mod error;
mod file;
mod http2;
mod idempotency;
mod identity;
mod journal;
mod layers;
mod load;
mod memory;
mod oidc;
mod properties;
pub mod reference;
mod rules;
mod schema;
mod server;
mod settings_in_use;
mod sinks;
mod telemetry;
mod template;
mod tls;
mod topic;
mod units;

use serde::Deserialize;

use crate::record::Kind;

pub use admin::{Admin, AdminLogin, AdminTls};
pub use alertmanager::Alertmanager;
pub use client_name::{ClientName, UnknownName};
pub use durability::Durability;
pub use error::{Error, Errors, Origin};
pub use http2::{Http2, PEERS_PART};
pub use idempotency::Idempotency;
pub use identity::{
    Directory, DirectoryKind, Login, Quota, REFRESH_LIFETIME_MAX, Tokens, may_hold_password,
};
pub use journal::{Journal, OnDamage};
pub use layers::Setting;
pub use load::{Loaded, defaults, load};
pub use memory::{
    FRESH_RECORDS_MAX, MemoryCeiling, MemoryItem, PASSWORD_HASH_BYTES, SPANS_OF_BATCH_MAX,
    SPANS_WAITING_MAX, STRANGERS_BYTES,
};
pub use oidc::Oidc;
pub use properties::Properties;
pub use schema::schema;
pub use server::{PARSE_IN_PLACE_MAX, Server};
pub use settings_in_use::SettingsInUse;
pub use sinks::{Compression, FileSink, KafkaSink, PubSubSink, SinkKind, Sinks};
pub use telemetry::{Audit, LogFormat, Logging, Metrics, Secret, Traces};
pub use template::template;
pub use tls::{ClientCertificates, Tls};
pub use topic::{BATCHES_IN_FLIGHT, REJECTED_RECORDS, Topic};
pub use units::{is_authority, is_safe_url};

/// The whole configuration. The units and limits of each value stand beside its key in
/// `config/defaults.toml`. The default is the embedded one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// The listener for clients.
    pub server: Server,
    /// The listener for probes, metrics and pages.
    pub admin: Admin,
    /// Users, customers, associations and integrations.
    pub directory: Directory,
    /// Access and refresh tokens.
    pub tokens: Tokens,
    /// Tokens of an external issuer.
    pub oidc: Oidc,
    /// Limits on failed logins.
    pub login: Login,
    /// The quota of each customer.
    pub quota: Quota,
    /// The window in which repeats are known again.
    pub idempotency: Idempotency,
    /// The labels that feed the events of Alertmanager's alerts.
    pub alertmanager: Alertmanager,
    /// The format and the levels of log lines.
    pub logging: Logging,
    /// The audit log.
    pub audit: Audit,
    /// Limits on metrics.
    pub metrics: Metrics,
    /// The collector of traces.
    pub traces: Traces,
    /// The backends.
    pub sink: Sinks,
    /// The journals of topics that have one.
    pub journal: Journal,
    /// The topic of each kind of record, in the order of [`Kind::ALL`].
    #[serde(deserialize_with = "topic::topics")]
    pub topics: [Topic; Kind::COUNT],
    /// No file was given: the gateway runs on its embedded defaults, and may create the files that
    /// are missing.
    #[serde(skip)]
    pub without_file: bool,
}

#[cfg(test)]
mod tests;
