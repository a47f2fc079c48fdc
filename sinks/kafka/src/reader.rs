//! A reader of a topic: a consumer that joins no group, commits nothing, and creates nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use iem_sink::{Found, Reached, Reader, SinkError, SinkErrorKind};
use parking_lot::Mutex;
use rdkafka::client::OAuthToken;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{ClientContext, Message as _, Offset, TopicPartitionList};

use crate::config::KafkaConfig;
use crate::failure::{Kind, code, missing_topic};
use crate::properties::{BATCH_BYTES, client_config, config_error, token_file};
use crate::token;

/// The time that one request to the cluster may take. The next attempt may ask another broker.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The time between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// The memory for records that were fetched ahead.
const PREFETCHED_KIB: &str = "16384";

/// A reader of one topic.
pub struct KafkaReader {
    consumer: BaseConsumer<Events>,
    bootstrap_servers: String,
    topic: String,
    /// The state of each partition. Empty until the topic is opened.
    partitions: BTreeMap<i32, Partition>,
}

/// The progress of a reader in one partition.
struct Partition {
    /// The offset of the next record.
    next: i64,
    /// The broker has said that nothing follows.
    at_end: bool,
}

/// The callbacks of the consumer.
struct Events {
    token_file: Option<String>,
    /// The last error of a connection, with librdkafka's reason.
    error: Mutex<Option<String>>,
}

impl KafkaReader {
    /// Makes a client, which begins to connect.
    ///
    /// # Errors
    /// Permanent where a property is refused, unknown or wrong: the message names it.
    pub fn new(config: &KafkaConfig, topic: &str) -> Result<Self, SinkError> {
        let events = Events {
            token_file: token_file(config).map(str::to_owned),
            error: Mutex::default(),
        };
        let mut client = client_config(config, BATCH_BYTES)?;
        client
            .set("enable.idempotence", "false")
            .set("statistics.interval.ms", "0")
            .set("log_level", "0")
            // The consumer joins no group, but librdkafka asks for a name.
            .set("group.id", format!("{}-reader", config.client_id))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Records that are no longer there must not look like records that never were.
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_uncommitted")
            .set("queued.max.messages.kbytes", PREFETCHED_KIB)
            // librdkafka wants a second between the two, which a short deadline does not leave.
            .set("fetch.wait.max.ms", "100")
            .set("socket.timeout.ms", "10000");
        let consumer = BaseConsumer::from_config_and_context(&client, events)
            .map_err(|error| config_error(&error))?;
        Ok(Self {
            consumer,
            bootstrap_servers: config.bootstrap_servers.clone(),
            topic: topic.to_owned(),
            partitions: BTreeMap::new(),
        })
    }

    /// Returns the end of each partition: the offset that its next record gets.
    ///
    /// # Errors
    /// The topic does not exist or may not be read, or no broker answers until `deadline`.
    pub fn ends(&self, deadline: Instant) -> Result<BTreeMap<i32, i64>, SinkError> {
        let mut ends = BTreeMap::new();
        for partition in self.list_partitions(deadline)? {
            ends.insert(partition, self.end(partition, deadline)?);
        }
        Ok(ends)
    }

    /// Begins to read at these offsets. A partition without one is read from its beginning: it was
    /// added later.
    ///
    /// # Errors
    /// As those of [`ends`](Self::ends).
    pub fn begin_at(
        &mut self,
        offsets: &BTreeMap<i32, i64>,
        deadline: Instant,
    ) -> Result<(), SinkError> {
        let mut assignment = TopicPartitionList::new();
        for partition in self.list_partitions(deadline)? {
            let next = offsets.get(&partition).copied().unwrap_or(0);
            assignment
                .add_partition_offset(&self.topic, partition, Offset::Offset(next))
                .map_err(|error| self.fault(&error))?;
            let state = Partition {
                next,
                at_end: false,
            };
            self.partitions.insert(partition, state);
        }
        if let Some(partition) = offsets.keys().find(|at| !self.partitions.contains_key(at)) {
            return Err(SinkError::permanent(format!(
                "topic {} has no partition {partition} any more: it was made anew",
                self.topic
            )));
        }
        let assigned = self.consumer.assign(&assignment);
        assigned.map_err(|error| self.fault(&error))
    }

    fn list_partitions(&self, deadline: Instant) -> Result<Vec<i32>, SinkError> {
        let metadata = self.ask(deadline, |consumer, timeout| {
            consumer.fetch_metadata(Some(&self.topic), timeout)
        })?;
        let brokers = metadata.brokers().len();
        let topics = metadata.topics();
        let found = topics.iter().find(|found| found.name() == self.topic);
        match found.map(|found| (found, found.error().map(Code::from))) {
            Some((found, None)) => Ok(found
                .partitions()
                .iter()
                .map(MetadataPartition::id)
                .collect()),
            Some((_, Some(code))) if Kind::of(code) != Kind::UnknownTopic => {
                Err(self.fault(&KafkaError::MetadataFetch(code)))
            }
            Some(_) | None => Err(SinkError::permanent(missing_topic(
                &self.bootstrap_servers,
                &self.topic,
                brokers,
            ))),
        }
    }

    fn end(&self, partition: i32, deadline: Instant) -> Result<i64, SinkError> {
        let (_, end) = self.ask(deadline, |consumer, timeout| {
            consumer.fetch_watermarks(&self.topic, partition, timeout)
        })?;
        Ok(end)
    }

    /// Asks the cluster until it answers, or the error is one that lasts.
    fn ask<T>(
        &self,
        deadline: Instant,
        request: impl Fn(&BaseConsumer<Events>, Duration) -> Result<T, KafkaError>,
    ) -> Result<T, SinkError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = left.clamp(Duration::from_millis(1), ATTEMPT_TIMEOUT);
            let error = match request(&self.consumer, timeout) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.fault(&error),
            };
            if error.kind == SinkErrorKind::Permanent || left.is_zero() {
                return Err(error);
            }
            if self.partitions.is_empty() {
                // Serves the callbacks: without a token there is no answer.
                let _ = self.consumer.poll(ATTEMPT_PAUSE);
            } else {
                // A poll would take a record away from the next read.
                std::thread::sleep(ATTEMPT_PAUSE);
            }
        }
    }

    /// Explains an error.
    fn fault(&self, error: &KafkaError) -> SinkError {
        let code = code(error);
        let topic = &self.topic;
        match Kind::of(code) {
            _ if code == Code::AutoOffsetReset || code == Code::OffsetOutOfRange => {
                SinkError::permanent(format!(
                    "topic {topic} no longer holds all records since the begin: its retention \
                     removed some, or it was made anew"
                ))
            }
            Kind::UnknownTopic => {
                SinkError::permanent(missing_topic(&self.bootstrap_servers, topic, 1))
            }
            Kind::Refused if code == Code::TopicAuthorizationFailed => {
                SinkError::permanent(format!(
                    "topic {topic} may not be read by this user; allow it: \
                     kafka-acls.sh --bootstrap-server {} --add --allow-principal User:… \
                     --operation Read --topic {topic}",
                    self.bootstrap_servers
                ))
            }
            Kind::Refused => SinkError::permanent(format!("Kafka refuses the login: {code}")),
            _ => {
                let reason = self.consumer.context().error.lock().clone();
                let reason = reason.unwrap_or_else(|| code.to_string());
                SinkError::transient(format!("topic {topic} cannot be read: {reason}"))
            }
        }
    }

    fn reached(&self) -> Reached {
        if self.partitions.values().all(|partition| partition.at_end) {
            Reached::End
        } else {
            Reached::Middle
        }
    }
}

impl Reader for KafkaReader {
    fn read(
        &mut self,
        until: Instant,
        each: &mut dyn FnMut(Found<'_>),
    ) -> Result<Reached, SinkError> {
        let mut trouble = None;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                None => {}
                Some(Ok(message)) => {
                    if let Some(partition) = self.partitions.get_mut(&message.partition()) {
                        partition.next = message.offset() + 1;
                        partition.at_end = false;
                    }
                    each(Found::Record(message.payload().unwrap_or_default()));
                    trouble = None;
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    if let Some(partition) = self.partitions.get_mut(&number) {
                        partition.at_end = true;
                    }
                }
                // The group is only a name.
                Some(Err(error)) if code(&error) == Code::GroupAuthorizationFailed => {}
                Some(Err(error)) => {
                    let error = self.fault(&error);
                    if error.kind == SinkErrorKind::Permanent {
                        return Err(error);
                    }
                    trouble = Some(error);
                }
            }
            if left.is_zero() {
                break;
            }
        }
        match (self.reached(), trouble) {
            (Reached::Middle, Some(trouble)) => Err(trouble),
            (reached, _) => Ok(reached),
        }
    }

    fn check_end(&mut self, deadline: Instant) -> Result<(), SinkError> {
        for (number, partition) in &self.partitions {
            let end = self.end(*number, deadline)?;
            // Behind the last record there may be marks of transactions, which are no records.
            if partition.next < end && !partition.at_end {
                return Err(SinkError::transient(format!(
                    "partition {number} of topic {} is read to {} of {end}",
                    self.topic, partition.next
                )));
            }
        }
        Ok(())
    }
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn error(&self, error: KafkaError, reason: &str) {
        // It follows the errors of the single brokers, and says less.
        if code(&error) != Code::AllBrokersDown {
            *self.error.lock() = Some(reason.to_owned());
        }
    }

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match &self.token_file {
            Some(path) => token::read(path),
            None => Err(
                "OAUTHBEARER needs \"sasl.oauthbearer.token.endpoint.url\" = \"file:///…\"".into(),
            ),
        }
    }
}

impl ConsumerContext for Events {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a reader of a cluster whose topics have this deadline.
    fn open(deadline: Duration, properties: &[(&str, &str)]) -> Result<KafkaReader, SinkError> {
        let properties = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = KafkaConfig {
            bootstrap_servers: "127.0.0.1:9".to_owned(),
            properties: properties.collect(),
            client_id: "iem-gateway".to_owned(),
            deadline: Some(deadline),
            workers: 1,
        };
        KafkaReader::new(&config, "events")
    }

    #[test]
    fn a_reader_takes_the_configuration_of_the_sink() {
        for deadline in [Duration::from_millis(100), Duration::from_secs(14)] {
            assert!(open(deadline, &[("linger.ms", "5"), ("batch.size", "9000")]).is_ok());
        }
        let error = open(Duration::from_secs(1), &[("securty.protocol", "SSL")]).err();
        assert!(error.unwrap().message.contains("securty.protocol"));
    }

    #[test]
    fn a_cluster_that_is_away_is_a_transient_error() {
        let reader = open(Duration::from_secs(1), &[]).unwrap();
        let error = reader.ends(Instant::now() + Duration::from_millis(100));
        assert_eq!(error.unwrap_err().kind, SinkErrorKind::Transient);
    }
}
