//! Records to Apache Kafka: `Delivered` means that all in-sync replicas of the partition have the
//! record.
//!
//! One idempotent producer (librdkafka) for each worker that a topic may have serves all topics:
//! brokers take five requests of a producer at once, and a request holds the records of one
//! partition. A record becomes a message by the binary mode of the `CloudEvents` Kafka binding:
//! attributes as headers, the ordering key as key, the client's bytes as value. Records of
//! one key go to one partition, the one that Java's clients choose, and stay in order there,
//! retries included.
//!
//! Where a broker is slow or away, a record's fate is open when its deadline passes. It is then not
//! acknowledged, and may be stored all the same: up to the topics' longest deadline and a second
//! later librdkafka goes on trying. Nothing is ever acknowledged that is not stored.
//!
//! Topics are never made by the gateway: one that is missing is refused by name. A topic's
//! `max.message.bytes` is read when it is opened: a limit that is raised later counts from the next
//! start, one that is lowered at once.
//!
//! TLS, SASL PLAIN and SCRAM are librdkafka's own properties. With SASL OAUTHBEARER the token is
//! read from the file that `sasl.oauthbearer.token.endpoint.url` names as `file:///…`.

mod events;
mod failure;
mod figures;
mod inspect;
mod mailbox;
mod message;
mod producer;
mod properties;
mod token;
mod topic;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iem_sink::{Sink, SinkError, TopicConfig, Writer};

use crate::figures::Figures;
use crate::mailbox::Mailboxes;
use crate::producer::Producers;
use crate::topic::{State, Topic};
use crate::writer::KafkaWriter;

/// How long the cluster may take to tell of a topic when it is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to tell of the topic's configuration, which is good to know and no more.
const CONFIGURATION_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the brokers are, and how to talk to them.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several with commas between them. One that answers is enough to find the
    /// others.
    pub bootstrap_servers: String,
    /// Properties of librdkafka, passed on as they are. Those that would break the guarantee are
    /// refused. Source: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>.
    pub properties: BTreeMap<String, String>,
    /// What the gateway calls itself in the brokers' logs and quotas.
    pub client_id: String,
    /// The longest deadline of the topics.
    pub deadline: Duration,
    /// How many writers of one topic there may be: so many producers share the work. At least one.
    pub workers: usize,
}

/// Properties can be passwords: only their names are shown.
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

/// A Kafka cluster.
pub struct KafkaSink {
    /// Never empty; the first also asks after topics.
    producers: Vec<Arc<Producers>>,
    mailboxes: Arc<Mailboxes>,
    topics: Mutex<BTreeMap<String, Arc<Topic>>>,
}

impl KafkaSink {
    /// Makes the client, which begins to connect. Does not wait for a broker.
    ///
    /// # Errors
    /// Permanent where a property is refused, unknown or wrong: the message names it.
    pub fn open(config: KafkaConfig) -> Result<Self, SinkError> {
        let mailboxes = Arc::new(Mailboxes::default());
        let config = Arc::new(config);
        let open = |_| Producers::open(Arc::clone(&config), Arc::clone(&mailboxes)).map(Arc::new);
        let producers = (0..config.workers.max(1))
            .map(open)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            producers,
            mailboxes,
            topics: Mutex::default(),
        })
    }

    /// The topic of this name. The cluster is asked after it on first use.
    fn topic(&self, name: &str, deadline: Instant) -> Result<Arc<Topic>, SinkError> {
        if let Some(topic) = self.topics().get(name) {
            return Ok(Arc::clone(topic));
        }
        State::ask(&self.producers[0].current(), name, deadline)?;
        let topic = Arc::new(Topic::new(name));
        self.refresh(&topic, deadline)?;
        Ok(Arc::clone(
            self.topics().entry(name.to_owned()).or_insert(topic),
        ))
    }

    /// Reads what the topic takes, and keeps batches below it. Not every login may read it;
    /// without, a batch that is refused says so.
    fn refresh(&self, topic: &Topic, deadline: Instant) -> Result<(), SinkError> {
        let deadline = deadline.min(Instant::now() + CONFIGURATION_TIMEOUT);
        if let Err(reason) = topic.refresh(&self.producers[0].admin_config()?, deadline) {
            tracing::info!(topic = topic.name, %reason, "the Kafka topic's configuration cannot be read");
        }
        let Some(limit) = topic.limit() else {
            return Ok(());
        };
        self.producers
            .iter()
            .try_for_each(|producers| producers.keep_batches_below(limit))
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_topics(&self) -> Vec<Arc<Topic>> {
        self.topics().values().cloned().collect()
    }
}

impl Sink for KafkaSink {
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError> {
        let known = self.topic(&topic.name, Instant::now() + OPEN_TIMEOUT)?;
        let producers = Arc::clone(&self.producers[known.next_writer() % self.producers.len()]);
        let mailboxes = Arc::clone(&self.mailboxes);
        Ok(Box::new(KafkaWriter::new(
            producers,
            mailboxes,
            known,
            topic.batch_records,
        )))
    }

    /// Asks the cluster after every topic that is in use: is it there, has each partition a leader
    /// and enough in-sync replicas.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        for producers in &self.producers {
            let producer = producers.current();
            if producer.fatal().is_some() {
                producers.revive(&producer)?;
            }
        }
        let producer = self.producers[0].current();
        let mut errors = Vec::new();
        for topic in self.known_topics() {
            match State::ask(&producer, &topic.name, deadline) {
                Ok(state) => errors.extend(state.trouble(&topic).map(SinkError::transient)),
                Err(error) => errors.push(error),
            }
        }
        topic::join(errors)
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        Figures::of_all(self.producers.iter().map(|producers| producers.figures()))
    }

    /// Waits until what is on its way has arrived or failed.
    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        match self
            .producers
            .iter()
            .map(|producers| producers.flush(deadline))
            .sum::<usize>()
        {
            0 => Ok(()),
            left => Err(SinkError::transient(format!(
                "{left} records had not been acknowledged when Kafka was left"
            ))),
        }
    }
}
