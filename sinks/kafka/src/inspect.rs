//! Inspection of a cluster before it is used: state and limits of each topic, and the command that
//! puts a fault right. Nothing is written.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use iem_sink::{DeliveryToken, Finding, Level, SinkError, TopicConfig};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::events::Events;
use crate::failure::{Kind, explain};
use crate::in_flight::{InFlight, Window};
use crate::properties::{client_config, config_error};
use crate::sink::KafkaSink;
use crate::statistics::ProducerStatistics;
use crate::topic::{State, Topic};

/// The largest probe that is sent. To learn whether a topic may be written, a record is sent that
/// is larger than the topic takes: a broker checks first who may write, and stores nothing either
/// way. A topic with a limit above this is not probed.
const PROBE_BYTES_MAX: usize = 16 << 20;

/// The time between two looks for the answer to a probe.
const ANSWER_POLL: Duration = Duration::from_millis(5);

impl KafkaSink {
    /// Inspects each topic: whether it exists, has leaders and replicas, how large a record it
    /// takes, and whether it may be written. Nothing is written. Blocks at most until `deadline`,
    /// and a little longer where brokers are away.
    pub fn inspect(&self, topics: &[TopicConfig], deadline: Instant) -> Vec<Finding> {
        let mut findings = Vec::new();
        for config in topics {
            let what = format!("Kafka topic {}", config.name);
            let mut add = |level, text| {
                findings.push(Finding {
                    what: what.clone(),
                    level,
                    text,
                });
            };
            match State::ask(&self.producers[0].current(), &config.name, deadline) {
                Ok(state) => self.inspect_topic(config, &state, deadline, &mut add),
                Err(error) => add(Level::Bad, error.message),
            }
        }
        findings
    }

    fn inspect_topic(
        &self,
        config: &TopicConfig,
        state: &State,
        deadline: Instant,
        add: &mut impl FnMut(Level, String),
    ) {
        let servers = &self.producers[0].config().bootstrap_servers;
        let topic = Topic::new(&config.name);
        if let Err(error) = self.refresh(&topic, deadline) {
            add(Level::Bad, error.message);
        }
        match state.problem(&topic) {
            Some(problem) => add(Level::Bad, problem),
            None => add(
                Level::Good,
                format!("{} partitions, all with a leader", state.partitions),
            ),
        }
        inspect_partitions(servers, config, state, add);
        inspect_replicas(servers, &topic, state, add);
        match topic.limit() {
            Some(limit) => {
                add(
                    Level::Good,
                    format!("takes records of up to {limit} bytes, key and headers included"),
                );
                let may_write = self.probe(&config.name, limit, deadline);
                let (level, text) = may_write.unwrap_or_else(|error| (Level::Weak, error.message));
                add(level, text);
            }
            None if self.producers[0].token_file().is_some() => add(
                Level::Weak,
                "with OAUTHBEARER the topic's configuration cannot be read, so its limits are not known"
                    .to_owned(),
            ),
            None => add(
                Level::Weak,
                format!(
                    "this user may not read the topic's configuration, so its limits are not \
                     known; allow it: kafka-acls.sh --bootstrap-server {servers} --add \
                     --allow-principal User:… --operation DescribeConfigs --topic {}",
                    topic.name
                ),
            ),
        }
    }

    /// Finds out whether the topic may be written.
    fn probe(
        &self,
        topic: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<(Level, String), SinkError> {
        if limit > PROBE_BYTES_MAX {
            let text = "the topic's limit is too high to probe: the first record shows whether \
                        the topic may be written";
            return Ok((Level::Weak, text.to_owned()));
        }
        let servers = &self.producers[0].config().bootstrap_servers;
        let in_flight = Arc::<InFlight>::default();
        let window = in_flight.open(Waker::noop().clone());
        let window = window.expect("the first window is free");
        let producer = self.probing_producer(limit, in_flight)?;
        let began = Instant::now();
        let payload = vec![b' '; limit];
        let record = BaseRecord::with_opaque_to(topic, window.number(DeliveryToken(0)))
            .key("")
            .payload(&payload);
        window.add(1);
        if let Err((error, _)) = producer.send(record) {
            return Err(SinkError::transient(format!(
                "whether the topic may be written is not known: {error}"
            )));
        }
        let answer = answer(&window, &producer, began, deadline);
        if let Some((code, _)) = producer.client().fatal_error() {
            return Ok((Level::Bad, explain(servers, topic, code)));
        }
        let refused = producer.client().context().refused_since(began);
        Ok(match (answer, refused) {
            (Some(Err(code)), _) if Kind::of(code) == Kind::TooLarge => {
                (Level::Good, "may be written".to_owned())
            }
            (Some(Err(code)), _) => (Level::Bad, explain(servers, topic, code)),
            (_, Some(reason)) => (Level::Bad, reason),
            (Some(Ok(())), None) => (
                Level::Weak,
                "takes larger records than its max.message.bytes".to_owned(),
            ),
            (None, None) => (
                Level::Bad,
                explain(servers, topic, RDKafkaErrorCode::MessageTimedOut),
            ),
        })
    }

    fn probing_producer(
        &self,
        limit: usize,
        in_flight: Arc<InFlight>,
    ) -> Result<ThreadedProducer<Events>, SinkError> {
        let mut client = client_config(self.producers[0].config(), limit)?;
        // Compressed, the record would be small.
        client
            .set("compression.codec", "none")
            .set("statistics.interval.ms", "0");
        let statistics = Arc::<ProducerStatistics>::default();
        let events = Events::new(0, in_flight, statistics, self.producers[0].token_file());
        ThreadedProducer::from_config_and_context(&client, events)
            .map_err(|error| config_error(&error))
    }
}

/// Waits for the only report of a window. Returns `None` without one.
fn answer(
    window: &Window,
    producer: &ThreadedProducer<Events>,
    began: Instant,
    deadline: Instant,
) -> Option<Result<(), RDKafkaErrorCode>> {
    let mut reports = Vec::new();
    loop {
        window.take(&mut reports);
        if let Some(report) = reports.first() {
            return Some(report.failure.map_or(Ok(()), Err));
        }
        let client = producer.client();
        let is_over = client.fatal_error().is_some()
            || client.context().refused_since(began).is_some()
            || Instant::now() >= deadline;
        if is_over {
            return None;
        }
        std::thread::sleep(ANSWER_POLL);
    }
}

fn inspect_partitions(
    servers: &str,
    config: &TopicConfig,
    state: &State,
    add: &mut impl FnMut(Level, String),
) {
    let workers = config.workers;
    let partitions = state.partitions;
    if workers > partitions {
        add(
            Level::Weak,
            format!(
                "{workers} workers share {partitions} partitions; add some: \
                 kafka-topics.sh --bootstrap-server {servers} --alter --topic {} \
                 --partitions {workers}",
                config.name
            ),
        );
    }
}

fn inspect_replicas(
    servers: &str,
    topic: &Topic,
    state: &State,
    add: &mut impl FnMut(Level, String),
) {
    let Some(needed) = topic.min_insync() else {
        return;
    };
    let name = &topic.name;
    let replicas = state.replicas;
    if replicas > 1 && needed < 2 {
        add(
            Level::Weak,
            format!(
                "{replicas} replicas, but one in sync is enough to acknowledge: a record is lost \
                 with its broker; require two: \
                 kafka-configs.sh --bootstrap-server {servers} --alter --topic {name} \
                 --add-config min.insync.replicas=2"
            ),
        );
    } else if replicas == 1 {
        add(
            Level::Weak,
            "one replica: a record is lost with its broker".to_owned(),
        );
    } else if replicas == needed {
        let text = format!(
            "{needed} of {replicas} replicas must be in sync: one broker away stops this topic"
        );
        add(Level::Weak, text);
    } else {
        add(
            Level::Good,
            format!("{replicas} replicas, {needed} of which must have a record"),
        );
    }
}
