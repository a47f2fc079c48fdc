//! Configuration of the sink.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The cluster, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas. One that answers is enough to find the others.
    pub bootstrap_servers: String,
    /// Properties of librdkafka, passed on unchanged. Those that would break the guarantee are
    /// refused. Source: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>.
    pub properties: BTreeMap<String, String>,
    /// The gateway's name in the brokers' logs and quotas.
    pub client_id: String,
    /// The longest deadline of the topics; `None`: records do not time out.
    pub deadline: Option<Duration>,
    /// The most writers that one topic may have, at least one: as many producers share the work.
    pub workers: usize,
}

/// Shows the names of the properties only: a value may be a password.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("properties", &self.properties.keys())
            .field("client_id", &self.client_id)
            .field("deadline", &self.deadline)
            .field("workers", &self.workers)
            .finish()
    }
}
