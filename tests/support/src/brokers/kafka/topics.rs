//! Topics: made, removed, and read back by consumers that are not ours.

use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{Offset, TopicPartitionList};

use super::{Kafka, install};

const AMPLE: Duration = Duration::from_secs(30);

/// A record as it stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which partition holds it.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its value.
    pub payload: Vec<u8>,
}

impl Message {
    /// The text of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

impl Kafka {
    /// Makes a topic, and waits until every partition has a leader.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        config: &[(&str, &str)],
    ) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let made = futures_executor::block_on(self.admin().create_topics([&topic], &options()));
        made.expect("an answer")[0]
            .as_ref()
            .unwrap_or_else(|(name, error)| panic!("topic {name}: {error}"));
        self.wait_for_topic(
            name,
            Some(usize::try_from(partitions).expect("so many partitions")),
        );
    }

    /// Removes a topic, and waits until it is gone.
    pub fn delete_topic(&self, name: &str) {
        let gone = futures_executor::block_on(self.admin().delete_topics(&[name], &options()));
        gone.expect("an answer")[0]
            .as_ref()
            .unwrap_or_else(|(name, error)| panic!("topic {name}: {error}"));
        self.wait_for_topic(name, None);
    }

    /// Adds partitions until the topic has so many.
    pub fn grow_topic(&self, name: &str, partitions: usize) {
        let more = NewPartitions::new(name, partitions);
        let grown = futures_executor::block_on(self.admin().create_partitions([&more], &options()));
        grown.expect("an answer")[0]
            .as_ref()
            .unwrap_or_else(|(name, error)| panic!("topic {name}: {error}"));
        self.wait_for_topic(name, Some(partitions));
    }

    /// Changes a setting of a topic.
    pub fn configure_topic(&self, name: &str, setting: &str, value: &str) {
        let setting = format!("{setting}={value}");
        let change = ["--alter", "--topic", name, "--add-config", &setting];
        self.run_tool("kafka.admin.ConfigCommand", &change);
    }

    /// Returns the index (from 0) of the broker that leads a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> usize {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        let metadata = consumer.fetch_metadata(Some(topic), AMPLE);
        let metadata = metadata.expect("the topic is there");
        let mut partitions = metadata.topics()[0].partitions().iter();
        let partition = partitions.find(|found| found.id() == partition);
        let leader = partition.expect("the partition is there").leader();
        usize::try_from(leader - 1).expect("a leader")
    }

    /// Changes the password with which a user logs in by SCRAM-SHA-256.
    pub fn set_password(&self, user: &str, password: &str) {
        let password = format!("SCRAM-SHA-256=[password={password}]");
        let user = ["--entity-type", "users", "--entity-name", user];
        let change = ["--alter", "--add-config", &password];
        self.run_tool(
            "kafka.admin.ConfigCommand",
            &[user.as_slice(), &change].concat(),
        );
    }

    /// Runs one of Kafka's own programs, and gives back what it prints.
    pub fn run_tool(&self, class: &str, arguments: &[&str]) -> String {
        let run = Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args([
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp",
                install::class_path(),
                class,
            ])
            .args(["--bootstrap-server", &self.bootstrap()])
            .args(arguments)
            .output()
            .expect("java runs");
        assert!(
            run.status.success(),
            "{class}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8_lossy(&run.stdout).into_owned()
    }

    /// The first `count` records of a topic as Kafka's console consumer prints them: headers, key
    /// and value, with a tab between them.
    pub fn console_consumer(&self, topic: &str, count: usize) -> String {
        self.run_tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            &[
                "--topic",
                topic,
                "--from-beginning",
                "--max-messages",
                &count.to_string(),
                "--timeout-ms",
                "20000",
                "--property",
                "print.headers=true",
                "--property",
                "print.key=true",
            ],
        )
    }

    /// All that a topic holds now: partition by partition, oldest first.
    pub fn read_all(&self, topic: &str) -> Vec<Message> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "iem-test-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "false")
            .set("fetch.wait.max.ms", "10")
            .create()
            .expect("a consumer");
        let partitions = until(|| partitions(&consumer, topic));
        partitions
            .into_iter()
            .flat_map(|partition| read_partition(&consumer, topic, partition))
            .collect()
    }

    fn wait_for_topic(&self, name: &str, partitions: Option<usize>) {
        let consumer: BaseConsumer = self.client().create().expect("a client");
        until(|| match led_partitions(&consumer, name) {
            led if led == partitions => Ok(()),
            led => Err(format!(
                "topic {name} has {led:?} of {partitions:?} partitions"
            )),
        });
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    fn client(&self) -> ClientConfig {
        client(&self.bootstrap())
    }
}

/// How many brokers the cluster says it has.
pub(super) fn brokers(bootstrap: &str) -> usize {
    let consumer: BaseConsumer = client(bootstrap).create().expect("a client");
    consumer
        .fetch_metadata(None, Duration::from_secs(1))
        .map_or(0, |metadata| metadata.brokers().len())
}

/// The number of partitions that have a leader, `None` without such a topic.
fn led_partitions(consumer: &BaseConsumer, topic: &str) -> Option<usize> {
    let metadata = consumer.fetch_metadata(None, AMPLE).ok()?;
    let topic = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic)?;
    Some(
        topic
            .partitions()
            .iter()
            .filter(|partition| partition.leader() >= 0)
            .count(),
    )
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<Message> {
    let (low, high) = until(|| ends(consumer, topic, partition));
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Offset(low))
        .expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let end = Instant::now() + AMPLE;
    let mut messages = Vec::new();
    let mut next = low;
    let mut error = None;
    while next < high {
        assert!(
            Instant::now() < end,
            "{topic} [{partition}] is read to {next} of {high}: {error:?}"
        );
        let message = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => message,
            Some(Err(failed)) => {
                error = Some(failed);
                continue;
            }
        };
        if message.partition() != partition {
            continue;
        }
        next = message.offset() + 1;
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        messages.push(Message {
            partition,
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| {
                    (
                        header.key.to_owned(),
                        header.value.unwrap_or_default().to_vec(),
                    )
                })
                .collect(),
            payload: message.payload().unwrap_or_default().to_vec(),
        });
    }
    messages
}

/// A topic's partitions. A broker that has just started may not know the topic yet.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, String> {
    let metadata = consumer
        .fetch_metadata(Some(topic), AMPLE)
        .map_err(|error| format!("{topic}: {error}"))?;
    match metadata.topics()[0].error() {
        None => Ok(metadata.topics()[0]
            .partitions()
            .iter()
            .map(MetadataPartition::id)
            .collect()),
        Some(error) => Err(format!("{topic}: {error:?}")),
    }
}

/// A partition's ends. A leader that was just elected may not know them yet (KIP-207).
fn ends(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<(i64, i64), String> {
    consumer
        .fetch_watermarks(topic, partition, AMPLE)
        .map_err(|error| format!("{topic} [{partition}]: {error}"))
}

/// Looks until there is something to be seen.
fn until<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + AMPLE;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.max.ms", "200")
        .set("log_level", "0")
        .set("allow.auto.create.topics", "false");
    config
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(AMPLE))
        .operation_timeout(Some(AMPLE))
}
