//! A topic as the cluster describes it: whether it exists, its replicas and its limits. Nothing
//! here writes to it or creates it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use iem_sink::SinkError;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataBroker, MetadataPartition, MetadataTopic};

use crate::failure::{Kind, explain, missing_topic};
use crate::producer::Producer;

/// The time that one broker has to answer a request for metadata. The next attempt asks another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client that reads the configuration of topics.
pub(crate) type Admin = AdminClient<DefaultClientContext>;

/// A topic with its limits, which stay unknown where the user may not read the configuration.
#[derive(Debug, Default)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// `max.message.bytes`; 0 if unknown.
    limit: AtomicUsize,
    /// `min.insync.replicas`; 0 if unknown.
    min_insync: AtomicUsize,
    /// The configuration could not be read the last time.
    is_unreadable: AtomicBool,
    /// It is known what the brokers tell of the configuration.
    is_read: AtomicBool,
    /// The number of partitions, as the cluster last told it.
    partitions: AtomicUsize,
    /// The number of writers opened so far.
    writers: AtomicUsize,
}

impl Topic {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the most bytes that a record may take, if known.
    pub(crate) fn limit(&self) -> Option<usize> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// Returns whether it is known what the brokers tell of the limits, which may be nothing.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Relaxed)
    }

    /// Notes that the brokers tell nothing of the limits.
    pub(crate) fn set_untold(&self) {
        self.is_read.store(true, Ordering::Relaxed);
    }

    /// Returns how many replicas must have a record, if known.
    pub(crate) fn min_insync(&self) -> Option<usize> {
        Some(self.min_insync.load(Ordering::Relaxed)).filter(|count| *count > 0)
    }

    /// Returns the number of partitions, at least one.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions.load(Ordering::Relaxed).max(1)
    }

    /// Keeps the number of partitions.
    pub(crate) fn set_partitions(&self, count: usize) {
        self.partitions.store(count, Ordering::Relaxed);
    }

    /// Returns the number of a new writer, from 0.
    pub(crate) fn next_writer(&self) -> usize {
        self.writers.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads the topic's limits again. Not every user may read them. Logs the first failure of
    /// several.
    pub(crate) fn refresh(&self, admin: &Admin, deadline: Instant) {
        let read = self.read_limits(admin, deadline);
        let was_unreadable = self.is_unreadable.swap(read.is_err(), Ordering::Relaxed);
        if let Err(reason) = read
            && !was_unreadable
        {
            let topic = &self.name;
            tracing::info!(topic, %reason, "cannot read the configuration of a Kafka topic");
        }
    }

    fn read_limits(&self, admin: &Admin, deadline: Instant) -> Result<(), String> {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        let resource = ResourceSpecifier::Topic(&self.name);
        let options = AdminOptions::new().request_timeout(Some(left));
        let answer = futures_executor::block_on(admin.describe_configs([&resource], &options));
        let resources = answer.map_err(|error| error.to_string())?;
        // The library leaves a topic out whose configuration this user may not read.
        let resource = resources.into_iter().flatten().next();
        let entries = resource
            .map(|resource| resource.entries)
            .unwrap_or_default();
        let value = |name| {
            let entry = entries.iter().find(|entry| entry.name == name)?;
            entry.value.as_ref()?.parse().ok()
        };
        let limit = value("max.message.bytes").unwrap_or(0);
        // Once they do not tell it any more, nobody learns that it is raised.
        self.limit.store(limit, Ordering::Relaxed);
        self.is_read.store(true, Ordering::Relaxed);
        let min_insync = value("min.insync.replicas").unwrap_or(0);
        self.min_insync.store(min_insync, Ordering::Relaxed);
        if limit == 0 {
            return Err("the brokers do not tell its max.message.bytes".to_owned());
        }
        Ok(())
    }
}

/// The state of a topic's partitions at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) partitions: usize,
    /// Partitions without a leader.
    pub(crate) leaderless: Vec<i32>,
    /// The fewest replicas that a partition has.
    pub(crate) replicas: usize,
    /// The fewest in-sync replicas that a partition has.
    pub(crate) in_sync: usize,
    /// Brokers that hold replicas and are away.
    pub(crate) down: Vec<i32>,
}

impl State {
    /// Asks the cluster for the topic's state.
    ///
    /// # Errors
    /// Permanent where the topic does not exist or may not be used, or the login is refused;
    /// transient where no broker answers until `deadline`.
    pub(crate) fn ask(
        producer: &Producer,
        topic: &str,
        deadline: Instant,
    ) -> Result<Self, SinkError> {
        let metadata = fetch(producer, topic, deadline)?;
        let servers = &producer.bootstrap_servers;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(SinkError::permanent(missing_topic(
                servers,
                topic,
                metadata.brokers().len(),
            )));
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Self::of(found, &metadata)),
            Some(code) if Kind::of(code).is_permanent(code) => {
                Err(SinkError::permanent(explain(servers, topic, code)))
            }
            Some(code) => Err(SinkError::transient(explain(servers, topic, code))),
        }
    }

    fn of(topic: &MetadataTopic, metadata: &Metadata) -> Self {
        let partitions = topic.partitions();
        let alive: Vec<i32> = metadata.brokers().iter().map(MetadataBroker::id).collect();
        let replicas = partitions.iter().flat_map(MetadataPartition::replicas);
        let mut down: Vec<i32> = replicas.copied().filter(|id| !alive.contains(id)).collect();
        down.sort_unstable();
        down.dedup();
        Self {
            partitions: partitions.len(),
            leaderless: partitions
                .iter()
                .filter(|partition| partition.leader() < 0)
                .map(MetadataPartition::id)
                .collect(),
            replicas: partitions
                .iter()
                .map(|partition| partition.replicas().len())
                .min()
                .unwrap_or(0),
            in_sync: partitions
                .iter()
                .map(|partition| partition.isr().len())
                .min()
                .unwrap_or(0),
            down,
        }
    }

    /// Returns why records to this topic would not be delivered, if they would not.
    pub(crate) fn problem(&self, topic: &Topic) -> Option<String> {
        let name = &topic.name;
        let problem = if self.leaderless.is_empty() {
            let needed = topic.min_insync().filter(|needed| self.in_sync < *needed)?;
            format!(
                "topic {name} has {} of the {needed} in-sync replicas it needs",
                self.in_sync
            )
        } else {
            format!(
                "topic {name} has no leader for partitions {:?}",
                self.leaderless
            )
        };
        Some(if self.down.is_empty() {
            problem
        } else {
            format!("{problem}; brokers down: {:?}", self.down)
        })
    }
}

fn fetch(producer: &Producer, topic: &str, deadline: Instant) -> Result<Metadata, SinkError> {
    let began = Instant::now();
    let mut last = None;
    loop {
        if let Some(reason) = producer.events().refused_since(began) {
            return Err(SinkError::permanent(reason));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            let reason = producer.events().connection_error(began).or(last);
            let reason = reason.unwrap_or_else(|| "no answer in time".to_owned());
            return Err(SinkError::transient(format!("no broker answers: {reason}")));
        }
        match producer
            .client()
            .fetch_metadata(Some(topic), left.min(ATTEMPT_TIMEOUT))
        {
            Ok(metadata) => return Ok(metadata),
            Err(error) => last = Some(error.to_string()),
        }
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
}
