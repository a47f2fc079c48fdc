//! The configuration that holds: defaults, under a file, under the environment, checked before any
//! port opens.
//!
//! `config/defaults.toml` is embedded, and documents every key. A [`Config`] from [`load`] keeps
//! all limits stated there, so nothing behind it checks again. What is wrong is an [`Error`] that
//! names the file and line, or the variable, and the key. Nothing here opens what the configuration
//! names; that is for those who use it.

mod error;
mod file;
mod layers;
mod memory;
mod properties;
mod rules;
mod transport;
mod units;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use iem_sink::TopicConfig;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

pub use error::{Error, Errors, Origin};
pub use layers::Setting;
pub use memory::{MemoryCeiling, MemoryItem, PASSWORD_HASH_BYTES};
pub use properties::Properties;
pub use transport::{ClientCertificates, Http2, Tls};

/// The topics by the names of their tables, in the order of [`Config::topics`].
pub const TOPICS: [&str; 6] = [
    "events",
    "metrics",
    "entities",
    "services",
    "healthchecks",
    "tickets",
];

/// All of the configuration. The units and limits of each value stand beside its key in
/// `config/defaults.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Config {
    /// The front that clients reach.
    pub server: Server,
    /// The listener for probes and metrics.
    pub admin: Admin,
    /// Users, customers, associations and integrations.
    pub directory: Directory,
    /// Access and refresh tokens.
    pub tokens: Tokens,
    /// Bounds on failed logins.
    pub login: Login,
    /// `[quota]`
    pub quota: Quota,
    /// What is logged, and how.
    pub logging: Logging,
    /// Bounds on what is counted.
    pub metrics: Metrics,
    /// The backends.
    pub sink: Sinks,
    /// One for each kind of record, in the order of [`TOPICS`].
    #[serde(deserialize_with = "topics")]
    pub topics: [Topic; TOPICS.len()],
    /// No file was given: the gateway runs on its embedded defaults, and may make what it finds
    /// missing.
    #[serde(skip)]
    pub without_file: bool,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Server {
    /// `source` of every record.
    pub name: String,
    /// Where clients connect; port 0 takes a free one.
    #[serde(deserialize_with = "units::address")]
    pub listen: SocketAddr,
    /// Whether plain HTTP is wanted on an address other than loopback.
    pub plaintext: bool,
    /// What makes it HTTPS.
    pub tls: Tls,
    /// Bounds on HTTP/2.
    pub http2: Http2,
    /// Threads that serve connections.
    pub threads: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once of one peer address.
    pub max_connections_per_peer: usize,
    /// The proxies whose word on their clients' addresses is taken.
    #[serde(deserialize_with = "units::networks")]
    pub proxies: Vec<IpNet>,
    /// Whether their connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Bytes of a request's line and headers.
    #[serde(deserialize_with = "units::size")]
    pub max_header: usize,
    /// Headers of a request.
    pub max_headers: usize,
    /// Bytes of a request's path and query.
    #[serde(deserialize_with = "units::size")]
    pub max_uri: usize,
    /// Bytes of a request's body, decompressed.
    #[serde(deserialize_with = "units::size")]
    pub max_body: usize,
    /// Bytes of bodies being read and records waiting, in all.
    #[serde(deserialize_with = "units::size")]
    pub memory: usize,
    /// For the whole head of a request.
    #[serde(deserialize_with = "units::duration")]
    pub header_timeout: Duration,
    /// For the whole body of a request.
    #[serde(deserialize_with = "units::duration")]
    pub body_timeout: Duration,
    /// Bytes a second of a request's body, on average. 0: any.
    #[serde(deserialize_with = "units::size")]
    pub body_rate: usize,
    /// From a request's first byte to its answer's last.
    #[serde(deserialize_with = "units::duration")]
    pub request_timeout: Duration,
    /// In which a client takes nothing of what it is sent.
    #[serde(deserialize_with = "units::duration")]
    pub write_timeout: Duration,
    /// Between two requests on a connection.
    #[serde(deserialize_with = "units::duration")]
    pub idle_timeout: Duration,
    /// To finish what was accepted when told to stop.
    #[serde(deserialize_with = "units::duration")]
    pub drain: Duration,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Admin {
    /// Where probes and metrics are served; port 0 takes a free one.
    #[serde(deserialize_with = "units::address")]
    pub listen: SocketAddr,
    /// Whether an address other than loopback is wanted.
    pub plaintext: bool,
}

/// `[directory]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Directory {
    /// The directory file.
    pub path: PathBuf,
}

/// `[tokens]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Tokens {
    /// The key that signs tokens; made where it is missing.
    pub key_file: PathBuf,
    /// Of an access token.
    #[serde(deserialize_with = "units::duration")]
    pub access_lifetime: Duration,
    /// Of a refresh token.
    #[serde(deserialize_with = "units::duration")]
    pub refresh_lifetime: Duration,
    /// Verified tokens kept, and as many verified Basic credentials.
    pub cache_entries: usize,
}

/// `[login]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Login {
    /// Failures a minute for a pair of user and peer address.
    pub failures_per_user: usize,
    /// Failures a minute for a peer address.
    pub failures_per_peer: usize,
}

/// `[quota]`: what a customer may send a second, and at once, unless the directory says otherwise.
/// 0: no bound.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Quota {
    /// Records.
    pub records: usize,
    /// Bytes of records.
    #[serde(deserialize_with = "units::size")]
    pub bytes: usize,
}

/// `[logging]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Logging {
    /// How a line is written.
    pub format: LogFormat,
    /// Levels, `info` or `info,some::module=debug`, as
    /// [`Targets`](tracing_subscriber::filter::Targets) reads them.
    pub level: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Metrics {
    /// Customers that get series of their own.
    pub customer_series: usize,
}

/// `[sink]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Sinks {
    /// The sink of every topic that does not name another.
    #[serde(rename = "type")]
    pub kind: SinkKind,
    /// `[sink.file]`
    pub file: FileSink,
    /// `[sink.kafka]`
    pub kafka: KafkaSink,
    /// `[sink.pubsub]`
    pub pubsub: PubSubSink,
}

/// The sinks there are. A build may leave some out; it then says so when one of them is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// Local files.
    File,
    /// Apache Kafka.
    Kafka,
    /// Google Cloud Pub/Sub.
    PubSub,
}

/// `[sink.file]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct FileSink {
    /// The folder that holds a folder for each topic.
    pub path: PathBuf,
    /// Whether a record counts as delivered only when it is synced to the disk.
    pub sync: bool,
    /// Bytes at which a file is closed.
    #[serde(deserialize_with = "units::size")]
    pub rotate_size: usize,
    /// Age at which a file is closed.
    #[serde(deserialize_with = "units::duration")]
    pub rotate_age: Duration,
    /// What becomes of a closed file.
    pub compress: Compression,
}

/// `[sink.kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct KafkaSink {
    /// `host:port`, several with commas between them.
    pub bootstrap_servers: String,
    /// Properties of librdkafka.
    #[serde(deserialize_with = "properties::properties")]
    pub properties: Properties,
}

/// `[sink.pubsub]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PubSubSink {
    /// The project's id.
    pub project: String,
    /// Another address than Google's; empty: Google's.
    pub endpoint: String,
    /// A credentials file; empty: the application default credentials.
    pub credentials: PathBuf,
}

/// What becomes of a closed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// It stays as it is.
    None,
    /// It is compressed with Zstandard (RFC 8878).
    Zstd,
}

/// One of `[topics.…]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Topic {
    /// At the backend: letters, digits, `.`, `_` and `-`; no path.
    pub name: String,
    /// Where its records go.
    pub sink: SinkKind,
    /// The fields that may give a record its ordering key, in order; empty: the customer alone.
    pub key: Vec<String>,
    /// Records waiting.
    pub queue_records: usize,
    /// Bytes of records waiting.
    #[serde(deserialize_with = "units::size")]
    pub queue_bytes: usize,
    /// Records in one write.
    pub batch_records: usize,
    /// Bytes in one write; a single larger request is a batch of its own.
    #[serde(deserialize_with = "units::size")]
    pub batch_bytes: usize,
    /// How long a batch waits to fill.
    #[serde(deserialize_with = "units::duration")]
    pub linger: Duration,
    /// From a record's acceptance to its confirmation.
    #[serde(deserialize_with = "units::duration")]
    pub deadline: Duration,
    /// Batches in flight.
    pub workers: usize,
    /// At Pub/Sub: whether the ordering key goes along as Pub/Sub's own.
    pub ordering: bool,
}

/// What holds, and where each value comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// Every value by its key, in the order of the keys.
    pub settings: Vec<Setting>,
}

/// Reads `file`, where one is given, and puts it and the `IEM_GATEWAY__…` and `IEM_GATEWAY_FILE__…`
/// variables of `environment` over the defaults.
///
/// # Errors
/// All that is wrong, as far as it can be told at once: a file that cannot be read or parsed, a
/// value of the wrong type and an unknown key each end the search, broken limits are listed
/// together.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Errors> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut layers = layers::Layers::defaults(cores);
    if let Some(path) = file {
        layers.add_file(file::File::read(path)?);
    }
    layers.add_environment(environment)?;
    layers.complete();
    let mut config: Config = layers.deserialize()?;
    config.without_file = file.is_none();
    let broken = rules::broken(&config);
    if broken.is_empty() {
        return Ok(Loaded {
            config,
            settings: layers.settings(),
        });
    }
    Err(Errors(
        broken
            .into_iter()
            .map(|(key, message)| layers.error(key, message))
            .collect(),
    ))
}

impl Topic {
    /// The topic as its sink sees it.
    pub fn for_sink(&self) -> TopicConfig {
        TopicConfig {
            name: self.name.clone(),
            workers: self.workers,
            batch_records: self.batch_records,
            batch_bytes: self.batch_bytes,
            deadline: self.deadline,
        }
    }
}

impl Server {
    /// Password hashes computed at once: half of the threads' worth, so that a burst of logins
    /// leaves the publishers their share of the cores.
    pub fn password_permits(&self) -> usize {
        (self.threads / 2).max(1)
    }

    /// Threads that read large bodies, so that those which serve do not: as many.
    pub fn readers(&self) -> usize {
        self.threads
    }

    /// How long a large body waits for one of them. With the time for its records' delivery this
    /// stays inside what clients wait.
    pub fn readers_patience(&self) -> Duration {
        Duration::from_secs(4)
    }
}

/// Reads the tables of [`TOPICS`] in their order.
fn topics<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[Topic; TOPICS.len()], D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a table")]
    struct Tables {
        events: Topic,
        metrics: Topic,
        entities: Topic,
        services: Topic,
        healthchecks: Topic,
        tickets: Topic,
    }
    let tables = Tables::deserialize(deserializer)?;
    Ok([
        tables.events,
        tables.metrics,
        tables.entities,
        tables.services,
        tables.healthchecks,
        tables.tickets,
    ])
}

#[cfg(test)]
mod tests;
