//! The backends: `[sink]` and the tables below it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::properties::{self, Properties};
use super::units;

/// `[sink]`: the backends.
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

/// A kind of sink. A build may leave some out; using one of them is then an error.
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

/// `[sink.file]`: local files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct FileSink {
    /// The folder that has a folder for each topic.
    pub path: PathBuf,
    /// A record counts as delivered only when it is synced to the disk.
    pub sync: bool,
    /// Bytes at which a file is closed.
    #[serde(deserialize_with = "units::size")]
    pub rotate_size: usize,
    /// Age at which a file is closed.
    #[serde(deserialize_with = "units::duration")]
    pub rotate_age: Duration,
    /// The compression of a closed file.
    pub compress: Compression,
}

/// `[sink.kafka]`: Apache Kafka.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct KafkaSink {
    /// `host:port`, several with commas between them.
    pub bootstrap_servers: String,
    /// Properties of librdkafka.
    #[serde(deserialize_with = "properties::properties")]
    pub properties: Properties,
}

/// `[sink.pubsub]`: Google Cloud Pub/Sub.
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

/// The compression of a closed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// It stays as it is.
    None,
    /// It is compressed with Zstandard (RFC 8878).
    Zstd,
}
