//! The sink: credentials, topics in use, and the runtime that renews tokens. It never creates a
//! topic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use iem_sink::{Finding, Record, Sink, SinkError, Statistic, TopicConfig, Writer};
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use crate::access::Access;
use crate::config::PubSubConfig;
use crate::message::request_bytes;
use crate::runtime::{emulator, runtime};
use crate::statistics::Statistics;
use crate::topics::{Fault, Topics};
use crate::writer::PubSubWriter;

/// Pub/Sub topics of one project.
pub struct PubSubSink {
    access: Arc<Access>,
    topics: Arc<Topics>,
    ordered: BTreeSet<String>,
    /// The topics with a writer.
    open: Mutex<BTreeSet<String>>,
    statistics: Arc<Statistics>,
    /// The runtime for token renewal and topic look-ups. The last field, so that it outlives the
    /// tasks that run on it.
    runtime: Runtime,
}

impl PubSubSink {
    /// Reads the credentials, or finds the application default ones. Makes no connection yet.
    ///
    /// # Errors
    /// Permanent where there are no credentials, they cannot be read, or the endpoint is invalid.
    pub fn open(config: PubSubConfig) -> Result<Self, SinkError> {
        let runtime = runtime("pubsub")?;
        let emulator = emulator();
        let access = Arc::new(Access::new(
            &config,
            emulator.as_deref(),
            runtime.handle().clone(),
        )?);
        Ok(Self {
            topics: Arc::new(Topics::new(access.clone())),
            access,
            ordered: config.ordered_topics,
            open: Mutex::default(),
            statistics: Arc::default(),
            runtime,
        })
    }

    /// Inspects each topic: whether it exists and may be published to. A fault comes with the
    /// command that puts it right. Blocks at most until `deadline`.
    pub fn inspect(&self, topics: &[&str], deadline: Instant) -> Vec<Finding> {
        let faults = self.faults(topics, deadline);
        topics
            .iter()
            .map(|topic| {
                let found = match faults.iter().find(|fault| fault.topic == *topic) {
                    Some(fault) => Err(fault.to_string()),
                    None => Ok("may be published to".to_owned()),
                };
                Finding::new(format!("Pub/Sub topic {topic}"), found)
            })
            .collect()
    }

    /// Returns the faults of these topics.
    fn faults(&self, topics: &[&str], deadline: Instant) -> Vec<Fault> {
        self.runtime
            .block_on(self.topics.check_all(topics, deadline))
    }
}

impl Sink for PubSubSink {
    /// Asks for the topic. Blocks at most for the topic's deadline.
    fn writer(&self, topic: &TopicConfig, waker: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let faults = self.faults(&[&topic.name], Instant::now() + topic.deadline);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault.into());
        }
        self.open.lock().insert(topic.name.clone());
        let ordered = self.ordered.contains(&topic.name);
        Ok(Box::new(PubSubWriter::new(
            self.access.clone(),
            self.topics.clone(),
            self.statistics.clone(),
            &topic.name,
            ordered,
            waker,
        )))
    }

    fn record_bytes(&self, topic: &TopicConfig, record: &Record) -> usize {
        let ordered = self.ordered.contains(&topic.name);
        request_bytes(record, &self.access.path(&topic.name), ordered)
    }

    /// Asks for each topic with a writer.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        let open = self.open.lock().clone();
        let names: Vec<&str> = open.iter().map(String::as_str).collect();
        self.faults(&names, deadline)
            .into_iter()
            .next()
            .map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn statistics(&self) -> Vec<Statistic> {
        self.statistics.read()
    }

    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.runtime
            .shutdown_timeout(left.min(Duration::from_secs(1)));
        Ok(())
    }
}
