//! The sink: the producers, and the topics in use. It never creates a topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use iem_sink::{Sink, SinkError, SinkErrorKind, Statistic, TopicConfig, Writer};
use parking_lot::Mutex;

use crate::config::KafkaConfig;
use crate::in_flight::InFlight;
use crate::producer::Producers;
use crate::statistics::statistics;
use crate::topic::{State, Topic};
use crate::writer::KafkaWriter;

/// The time that the cluster has to describe a topic when it is opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that it has to return the topic's configuration, which the sink can do without.
const CONFIGURATION_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between two looks at the records in flight when the sink is closed.
const CLOSING_POLL: Duration = Duration::from_millis(10);

/// A Kafka cluster.
pub struct KafkaSink {
    /// Never empty. The first also asks for the topics.
    pub(crate) producers: Vec<Arc<Producers>>,
    in_flight: Arc<InFlight>,
    topics: Mutex<BTreeMap<String, Arc<Topic>>>,
}

impl KafkaSink {
    /// Creates the client, which begins to connect. Does not wait for a broker.
    ///
    /// # Errors
    /// Permanent where a property is refused, unknown or wrong: the message names it.
    pub fn open(config: KafkaConfig) -> Result<Self, SinkError> {
        let in_flight = Arc::new(InFlight::default());
        let config = Arc::new(config);
        let producers = (0..config.workers.max(1))
            .map(|_| Producers::open(Arc::clone(&config), Arc::clone(&in_flight)).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            producers,
            in_flight,
            topics: Mutex::default(),
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

    /// Reads the topic's limits, and keeps batches below them. Not every user may read them; the
    /// sink then learns of a limit from a batch that the broker refuses.
    pub(crate) fn refresh(&self, topic: &Topic, deadline: Instant) -> Result<(), SinkError> {
        let deadline = deadline.min(Instant::now() + CONFIGURATION_TIMEOUT);
        if let Err(reason) = topic.refresh(&self.producers[0].admin_config()?, deadline) {
            tracing::info!(
                topic = topic.name,
                %reason,
                "cannot read the configuration of a Kafka topic"
            );
        }
        let Some(limit) = topic.limit() else {
            return Ok(());
        };
        self.producers
            .iter()
            .try_for_each(|producers| producers.keep_batches_below(limit))
    }

    fn known_topics(&self) -> Vec<Arc<Topic>> {
        self.topics.lock().values().cloned().collect()
    }
}

impl Sink for KafkaSink {
    fn writer(&self, topic: &TopicConfig, waker: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let known = self.topic(&topic.name, Instant::now() + OPEN_TIMEOUT)?;
        let producers = Arc::clone(&self.producers[known.next_writer() % self.producers.len()]);
        let Some(window) = self.in_flight.open(waker) else {
            return Err(SinkError::transient(format!(
                "topic {}: too many Kafka writers",
                topic.name
            )));
        };
        let writer = KafkaWriter::new(producers, window, known, topic.deadline);
        Ok(Box::new(writer))
    }

    /// Asks the cluster whether every topic in use exists, and whether each partition has a leader
    /// and enough in-sync replicas.
    fn check(&self, deadline: Instant) -> Result<(), SinkError> {
        let alive: Vec<_> = self.producers.iter().map(|some| some.alive()).collect();
        let producer = &alive[0];
        let mut errors = Vec::new();
        for topic in self.known_topics() {
            match State::ask(producer, &topic.name, deadline) {
                Ok(state) => {
                    topic.set_partitions(state.partitions);
                    errors.extend(state.problem(&topic).map(SinkError::transient));
                }
                Err(error) => errors.push(error),
            }
        }
        join(errors)
    }

    fn statistics(&self) -> Vec<Statistic> {
        statistics(
            self.producers
                .iter()
                .map(|producers| producers.statistics()),
        )
    }

    /// Waits until every record in flight has been delivered or has failed.
    fn close(self: Box<Self>, deadline: Instant) -> Result<(), SinkError> {
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
