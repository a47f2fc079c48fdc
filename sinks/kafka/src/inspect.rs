//! A close look at a cluster before it is used: what is there, what is missing, and the command
//! that makes it.

use std::time::Instant;

use iem_sink::{Finding, Level, SinkError, TopicConfig};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::KafkaSink;
use crate::events::Events;
use crate::failure::{Kind, explain};
use crate::figures::Figures;
use crate::mailbox::{Mailboxes, Report};
use crate::properties::{client_config, config_error};
use crate::topic::{State, Topic};

/// To learn whether a topic may be written, a record is sent that is larger than the topic takes: a
/// broker looks at who may write first, and stores nothing either way. For topics with a limit
/// above this, that is too much to send.
const PROBE_BYTES_MAX: usize = 16 << 20;

impl KafkaSink {
    /// Looks at each topic: is it there, led, replicated; how large a record does it take; may it
    /// be written. Nothing is written. Blocks at most until `deadline`, and a little longer
    /// where brokers are away.
    pub fn inspect(&self, topics: &[TopicConfig], deadline: Instant) -> Vec<Finding> {
        let mut findings = Vec::new();
        for config in topics {
            let what = format!("Kafka topic {}", config.name);
            let mut add = |level, text| {
                findings.push(Finding {
                    what: what.clone(),
                    level,
                    text,
                })
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
        let (servers, topic) = (
            &self.producers[0].config().bootstrap_servers,
            Topic::new(&config.name),
        );
        if let Err(error) = self.refresh(&topic, deadline) {
            add(Level::Bad, error.message);
        }
        match state.trouble(&topic) {
            Some(trouble) => add(Level::Bad, trouble),
            None => add(
                Level::Good,
                format!("{} partitions, all with a leader", state.partitions),
            ),
        }
        if config.workers > state.partitions {
            let (workers, partitions) = (config.workers, state.partitions);
            add(
                Level::Weak,
                format!(
                    "{workers} workers share {partitions} partitions; add some: kafka-topics.sh --bootstrap-server \
                     {servers} --alter --topic {} --partitions {workers}",
                    topic.name
                ),
            );
        }
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
            None => add(
                Level::Weak,
                format!(
                    "this user may not read the topic's configuration, so its limits are not known; allow it: \
                     kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:… --operation \
                     DescribeConfigs --topic {}",
                    topic.name
                ),
            ),
        }
    }

    /// Whether the topic may be written.
    fn probe(
        &self,
        topic: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<(Level, String), SinkError> {
        if limit > PROBE_BYTES_MAX {
            let text = "whether it may be written shows with the first record: its limit is too high to try it";
            return Ok((Level::Weak, text.to_owned()));
        }
        let servers = &self.producers[0].config().bootstrap_servers;
        let mailboxes = std::sync::Arc::<Mailboxes>::default();
        let mailbox = mailboxes.open();
        let mut client = client_config(self.producers[0].config(), limit)?;
        // Compressed, the record would be small.
        client
            .set("compression.codec", "none")
            .set("statistics.interval.ms", "0");
        let token_file = self.producers[0].token_file();
        let events = Events::new(mailboxes, std::sync::Arc::<Figures>::default(), token_file);
        let producer: ThreadedProducer<Events> =
            ThreadedProducer::from_config_and_context(&client, events)
                .map_err(|error| config_error(&error))?;
        let began = Instant::now();
        let number = mailbox.issue(1, began);
        let payload = vec![b' '; limit];
        let record = BaseRecord::with_opaque_to(topic, mailbox.ticket(number))
            .key("")
            .payload(&payload);
        if let Err((error, _)) = producer.send(record) {
            return Err(SinkError::transient(format!(
                "whether it may be written is not known: {error}"
            )));
        }
        mailbox.wait(deadline);
        if let Some((code, _)) = producer.client().fatal_error() {
            return Ok((Level::Bad, explain(servers, topic, code)));
        }
        let refused = producer.client().context().refused_since(began);
        Ok(match (mailbox.resume(number), refused) {
            (Report::Failed(code), _) if Kind::of(code) == Kind::TooLarge => {
                (Level::Good, "may be written".to_owned())
            }
            (Report::Failed(code), _) => (Level::Bad, explain(servers, topic, code)),
            (_, Some(reason)) => (Level::Bad, reason),
            (Report::Delivered, None) => {
                (Level::Weak, "takes larger records than it says".to_owned())
            }
            (Report::Pending, None) => (
                Level::Bad,
                explain(servers, topic, RDKafkaErrorCode::MessageTimedOut),
            ),
        })
    }
}

fn inspect_replicas(
    servers: &str,
    topic: &Topic,
    state: &State,
    add: &mut impl FnMut(Level, String),
) {
    let (name, replicas, Some(needed)) = (&topic.name, state.replicas, topic.min_insync()) else {
        return;
    };
    if replicas > 1 && needed < 2 {
        add(
            Level::Weak,
            format!(
                "{replicas} replicas, but one in sync is enough to acknowledge: a record is lost with its broker; ask \
                 for two: kafka-configs.sh --bootstrap-server {servers} --alter --topic {name} --add-config \
                 min.insync.replicas=2"
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
