//! The sink: the producers, and the topics in use. It never creates a topic.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use iem_sink::{Record, Sink, SinkError, SinkErrorKind, Statistic, TopicConfig, Writer};
use parking_lot::Mutex;

use crate::config::KafkaConfig;
use crate::in_flight::InFlight;
use crate::message::batch_bytes;
use crate::producer::Producers;
use crate::properties::config_error;
use crate::statistics::statistics;
use crate::topic::{Admin, State, Topic};
use crate::writer::KafkaWriter;

/// The time that the cluster has to describe a topic when it is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that it has to return the topic's configuration, which the sink can do without.
const CONFIGURATION_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between two looks at the configurations of topics in use.
const CONFIGURATION_INTERVAL: Duration = Duration::from_secs(20);

/// The time between two looks at the records in flight when the sink is closed.
const CLOSING_POLL: Duration = Duration::from_millis(10);

/// A Kafka cluster.
pub struct KafkaSink {
    /// Never empty. The first also asks for the topics.
    pub(crate) producers: Vec<Arc<Producers>>,
    /// The producers of topics whose records do not time out, once there is such a topic.
    persistent: OnceLock<Persistent>,
    in_flight: Arc<InFlight>,
    topics: Mutex<BTreeMap<String, Arc<Topic>>>,
    /// The time of the next look at the topics' configurations.
    refresh_at: Mutex<Instant>,
}

/// The producers of topics whose records do not time out, and what is in flight of these topics.
struct Persistent {
    producers: Vec<Arc<Producers>>,
    in_flight: Arc<InFlight>,
}

impl KafkaSink {
    /// Creates the client, which begins to connect. Does not wait for a broker.
    ///
    /// # Errors
    /// Permanent where a property is refused, unknown or wrong: the message names it.
    pub fn open(config: KafkaConfig) -> Result<Self, SinkError> {
        let in_flight = Arc::new(InFlight::default());
        let producers = open_producers(config, &in_flight)?;
        Ok(Self {
            producers,
            persistent: OnceLock::new(),
            in_flight,
            topics: Mutex::default(),
            refresh_at: Mutex::new(Instant::now() + CONFIGURATION_INTERVAL),
        })
    }

    /// Returns the topic of this name. Asks the cluster for it on first use.
    fn topic(&self, name: &str, deadline: Instant) -> Result<Arc<Topic>, SinkError> {
        if let Some(topic) = self.topics.lock().get(name) {
            return Ok(Arc::clone(topic));
        }
        let state = State::ask(&self.producers[0].current(), name, deadline)?;
        let topic = Arc::new(Topic::new(name));
        topic.set_partitions(state.partitions);
        self.refresh(&topic, deadline)?;
        Ok(Arc::clone(
            self.topics.lock().entry(name.to_owned()).or_insert(topic),
        ))
    }

    /// Reads the topic's limits, and keeps batches below them. Not every user may read them, and
    /// with SASL OAUTHBEARER nobody; the sink then learns of a limit from a batch that the broker
    /// refuses.
    pub(crate) fn refresh(&self, topic: &Topic, deadline: Instant) -> Result<(), SinkError> {
        self.refresh_with(self.admin()?.as_ref(), topic, deadline)
    }

    fn refresh_with(
        &self,
        admin: Option<&Admin>,
        topic: &Topic,
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let Some(admin) = admin else {
            topic.set_untold();
            return Ok(());
        };
        topic.refresh(admin, deadline.min(Instant::now() + CONFIGURATION_TIMEOUT));
        let Some(limit) = topic.limit() else {
            return Ok(());
        };
        self.all()
            .try_for_each(|producers| producers.keep_batches_below(limit))
    }

    /// Reads the limits of these topics again, if it is time for it.
    fn refresh_due(&self, topics: &[Arc<Topic>], deadline: Instant) -> Result<(), SinkError> {
        let now = Instant::now();
        let mut at = self.refresh_at.lock();
        if topics.is_empty() || *at > now {
            return Ok(());
        }
        *at = now + CONFIGURATION_INTERVAL;
        drop(at);
        let admin = self.admin()?;
        topics
            .iter()
            .try_for_each(|topic| self.refresh_with(admin.as_ref(), topic, deadline))
    }

    /// Returns a client that reads the configuration of topics. The library gives it no access token,
    /// so there is none with SASL OAUTHBEARER.
    fn admin(&self) -> Result<Option<Admin>, SinkError> {
        let producers = &self.producers[0];
        if producers.token_file().is_some() {
            return Ok(None);
        }
        let admin = producers.admin_config()?.create();
        admin.map(Some).map_err(|error| config_error(&error))
    }

    /// Returns the producers of a topic's writers, and what is in flight of such topics.
    fn producers_of(
        &self,
        topic: &TopicConfig,
    ) -> Result<(&[Arc<Producers>], &Arc<InFlight>), SinkError> {
        if !topic.is_persistent {
            return Ok((&self.producers, &self.in_flight));
        }
        if self.persistent.get().is_none() {
            let config = KafkaConfig {
                deadline: None,
                ..self.producers[0].config().clone()
            };
            let in_flight = Arc::default();
            let producers = open_producers(config, &in_flight)?;
            // Another topic's writer may have been faster.
            let _ = self.persistent.set(Persistent {
                producers,
                in_flight,
            });
        }
        let persistent = self.persistent.get();
        Ok(
            persistent.map_or((&self.producers, &self.in_flight), |persistent| {
                (&persistent.producers, &persistent.in_flight)
            }),
        )
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Producers>> {
        let persistent = self.persistent.get().into_iter();
        let persistent = persistent.flat_map(|persistent| &persistent.producers);
        self.producers.iter().chain(persistent)
    }

    fn known_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.lock().values().cloned().collect()
    }
}

impl Sink for KafkaSink {
    fn writer(&self, topic: &TopicConfig, waker: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let (producers, in_flight) = self.producers_of(topic)?;
        let known = self.topic(&topic.name, Instant::now() + OPEN_TIMEOUT)?;
        if let Some(limit) = known.limit() {
            producers
                .iter()
                .try_for_each(|producers| producers.keep_batches_below(limit))?;
        }
        let producers = Arc::clone(&producers[known.next_writer() % producers.len()]);
        let Some(window) = in_flight.open(waker) else {
            return Err(SinkError::transient(format!(
                "topic {}: too many Kafka writers",
                topic.name
            )));
        };
        let writer = KafkaWriter::new(producers, window, known, topic.deadline);
        Ok(Box::new(writer))
    }

    fn record_bytes(&self, _topic: &TopicConfig, record: &Record) -> usize {
        batch_bytes(record)
    }

    /// Asks the cluster whether every topic in use exists, and whether each partition has a leader
    /// and enough in-sync replicas.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        let alive: Vec<_> = self.all().map(|some| some.alive()).collect();
        let producer = &alive[0];
        let mut errors = Vec::new();
        let mut found = Vec::new();
        for topic in self.known_topics() {
            match State::ask(producer, &topic.name, deadline) {
                Ok(state) => {
                    topic.set_partitions(state.partitions);
                    errors.extend(state.problem(&topic).map(SinkError::transient));
                    found.push(topic);
                }
                Err(error) => errors.push(error),
            }
        }
        errors.extend(self.refresh_due(&found, deadline).err());
        join(errors)
    }

    fn statistics(&self) -> Vec<Statistic> {
        statistics(self.all().map(|producers| producers.statistics()))
    }

    /// Waits until every record in flight has been delivered or has failed. Those that do not time
    /// out are given up: they are sent again after the next start.
    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
        if let Some(persistent) = self.persistent.get() {
            for producers in &persistent.producers {
                producers.give_up();
            }
        }
        for producers in &self.producers {
            producers.flush(deadline);
        }
        // Those of replaced producers too.
        while self.in_flight.count() > 0 && Instant::now() < deadline {
            std::thread::sleep(CLOSING_POLL);
        }
        let left = self.in_flight.count();
        if left > 0 {
            return Err(SinkError::transient(format!(
                "Kafka had not acknowledged {left} records when the sink was closed"
            )));
        }
        Ok(())
    }
}

/// Opens as many producers as a topic may have writers.
fn open_producers(
    config: KafkaConfig,
    in_flight: &Arc<InFlight>,
) -> Result<Vec<Arc<Producers>>, SinkError> {
    let config = Arc::new(config);
    (0..config.workers.max(1))
        .map(|_| Producers::open(Arc::clone(&config), Arc::clone(in_flight)).map(Arc::new))
        .collect()
}

/// Joins several errors into one, which is permanent if one of them is.
fn join(errors: Vec<SinkError>) -> Result<(), SinkError> {
    if errors.is_empty() {
        return Ok(());
    }
    let permanent = errors
        .iter()
        .any(|error| error.kind == SinkErrorKind::Permanent);
    let kind = if permanent {
        SinkErrorKind::Permanent
    } else {
        SinkErrorKind::Transient
    };
    let mut messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
    messages.dedup();
    Err(SinkError {
        kind,
        message: messages.join("; "),
    })
}
