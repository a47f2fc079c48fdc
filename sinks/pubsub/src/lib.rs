//! Records as messages of Google Cloud Pub/Sub, through Google's own client.
//!
//! A record is a message in the binary mode of the `CloudEvents` Pub/Sub binding: its bytes are the
//! data, its attributes are `ce-id`, `ce-source`, … and `Content-Type`. `Delivered` means: the
//! service returned the message's id.
//!
//! A batch is one request as long as it keeps to Pub/Sub's limits, else as many as it takes, in
//! flight together. Ordering keys are off unless a topic asks for them
//! ([`PubSubConfig::ordered_topics`]), and have a price: Pub/Sub takes one key a request, so a
//! batch becomes one request for each key in it, each key's requests go one after another, and a
//! key's throughput is limited to 1 MB a second by the service. Without them the service promises
//! no order at all.
//!
//! Each writer owns a connection and a thread that drives it; at the deadline both are ended with
//! all that is under way, so nothing is sent after a call has returned. A request that the service
//! has already read may still be carried out.

mod access;
mod client;
mod failure;
mod figures;
mod message;
mod retry;
mod topics;
mod writer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use iem_sink::{Finding, Sink, SinkError, TopicConfig, Writer};
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::figures::Figures;
use crate::topics::{Fault, Topics};
use crate::writer::PubSubWriter;

pub use crate::message::{MAX_ATTRIBUTE_BYTES, MAX_REQUEST_BYTES};

/// Which project, where, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PubSubConfig {
    /// The project's id.
    pub project: String,
    /// Another address than Google's, with its scheme: a regional or private one, or an emulator's. Over `http://` no
    /// credentials are sent. Where it is `None`, `PUBSUB_EMULATOR_HOST` counts as one over `http://`.
    pub endpoint: Option<String>,
    /// A credentials file: a service account's key, or a configuration of workload identity
    /// federation, of an impersonated service account or of a user. Without one: the
    /// application default credentials, which are `GOOGLE_APPLICATION_CREDENTIALS`, else what
    /// `gcloud auth application-default login` left, else those of the machine or pod
    /// (workload identity).
    pub credentials: Option<PathBuf>,
    /// The topics, by their names at the backend, whose records carry their key as the ordering
    /// key.
    pub ordered_topics: BTreeSet<String>,
}

/// Pub/Sub topics of one project.
pub struct PubSubSink {
    access: Arc<Access>,
    topics: Topics,
    ordered: BTreeSet<String>,
    /// The topics that writers were opened for.
    open: Mutex<BTreeSet<String>>,
    figures: Arc<Figures>,
    /// Renews tokens, and carries what concerns no single writer. Last, so that it outlives what
    /// runs on it.
    runtime: Runtime,
}

impl PubSubSink {
    /// Reads the credentials, or finds the application default ones. Connects to nothing yet.
    ///
    /// # Errors
    /// Permanent where there are no credentials, they cannot be read, or the endpoint is not one.
    pub fn open(config: PubSubConfig) -> Result<Self, SinkError> {
        // The client has no TLS of its own choice. Where the process has chosen already, that
        // stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pubsub")
            .enable_all()
            .build()
            .map_err(|error| SinkError::transient(format!("no thread for Pub/Sub: {error}")))?;
        let emulator = std::env::var("PUBSUB_EMULATOR_HOST").ok();
        let access = Arc::new(Access::new(
            &config,
            emulator.as_deref(),
            runtime.handle().clone(),
        )?);
        Ok(Self {
            topics: Topics::new(access.clone()),
            access,
            ordered: config.ordered_topics,
            open: Mutex::default(),
            figures: Arc::default(),
            runtime,
        })
    }

    /// Looks at each topic: whether it is there and may be published to; names the command that
    /// would make it so. Blocks at most until `deadline`.
    pub fn inspect(&self, topics: &[&str], deadline: Instant) -> Vec<Finding> {
        let faults = self.faults(topics, deadline);
        let found = |topic: &str| match faults.iter().find(|fault| fault.topic == topic) {
            Some(fault) => Err(fault.to_string()),
            None => Ok("may be published to".to_owned()),
        };
        topics
            .iter()
            .map(|topic| Finding::new(format!("Pub/Sub topic {topic}"), found(topic)))
            .collect()
    }

    /// What is wrong with these topics.
    fn faults(&self, topics: &[&str], deadline: Instant) -> Vec<Fault> {
        self.runtime
            .block_on(self.topics.look_at_all(topics, deadline))
    }
}

impl Sink for PubSubSink {
    /// Asks for the topic, for at most its deadline.
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError> {
        let faults = self.faults(&[&topic.name], Instant::now() + topic.deadline);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault.into());
        }
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(topic.name.clone());
        let ordered = self.ordered.contains(&topic.name);
        Ok(Box::new(PubSubWriter::new(
            self.access.clone(),
            self.figures.clone(),
            &topic.name,
            ordered,
        )))
    }

    /// Asks for each topic that has been opened.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        let open = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let names: Vec<&str> = open.iter().map(String::as_str).collect();
        self.faults(&names, deadline)
            .into_iter()
            .next()
            .map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        self.figures.read()
    }

    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.runtime
            .shutdown_timeout(left.min(Duration::from_secs(1)));
        Ok(())
    }
}
