//! Opens the backends that the configuration names. The only file that names the sink crates.

#![cfg_attr(
    not(all(feature = "file", feature = "kafka", feature = "pubsub")),
    allow(unused, reason = "each sink is a feature")
)]

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::{Finding, Sink, SinkError};

use crate::config::{Config, SinkKind, Topic};
use crate::pipeline::Backend;

/// The backends that the topics use, each opened once.
pub type Backends = HashMap<SinkKind, Arc<Backend>>;

/// The time in which `check` inspects a backend.
const INSPECT_TIME: Duration = Duration::from_secs(10);

/// Opens every backend that a topic uses, and no other.
///
/// # Errors
/// The sink's error.
pub fn open(config: &Config) -> Result<Backends, SinkError> {
    in_use(config)
        .into_iter()
        .map(|kind| {
            let backend = Backend {
                name: name(kind),
                sink: open_one(kind, config)?,
            };
            Ok((kind, Arc::new(backend)))
        })
        .collect()
}

/// Checks that the sinks in use would start; changes nothing.
pub fn inspect(config: &Config) -> Vec<Finding> {
    in_use(config)
        .into_iter()
        .flat_map(|kind| {
            inspect_one(kind, config).unwrap_or_else(|error| {
                let sink = format!("sink {}", name(kind));
                vec![Finding::new(sink, Err(error.message))]
            })
        })
        .collect()
}

/// Returns the sinks that a topic uses, each once.
fn in_use(config: &Config) -> BTreeSet<SinkKind> {
    config.topics.iter().map(|topic| topic.sink).collect()
}

/// Returns the topics of one sink.
fn topics_of(config: &Config, kind: SinkKind) -> impl Iterator<Item = &Topic> {
    config.topics.iter().filter(move |topic| topic.sink == kind)
}

fn name(kind: SinkKind) -> &'static str {
    match kind {
        SinkKind::File => "file",
        SinkKind::Kafka => "kafka",
        SinkKind::PubSub => "pubsub",
    }
}

fn open_one(kind: SinkKind, config: &Config) -> Result<Box<dyn Sink>, SinkError> {
    match kind {
        #[cfg(feature = "file")]
        SinkKind::File => Ok(Box::new(file(config)?)),
        #[cfg(feature = "kafka")]
        SinkKind::Kafka => Ok(Box::new(kafka(config)?)),
        #[cfg(feature = "pubsub")]
        SinkKind::PubSub => Ok(Box::new(pubsub(config)?)),
        #[allow(unreachable_patterns, reason = "reached in a build without all sinks")]
        kind => Err(left_out(kind)),
    }
}

fn inspect_one(kind: SinkKind, config: &Config) -> Result<Vec<Finding>, SinkError> {
    let deadline = Instant::now() + INSPECT_TIME;
    match kind {
        #[cfg(feature = "file")]
        SinkKind::File => {
            let path = &config.sink.file.path;
            let found = iem_sink_file::FileSink::inspect(path).map_err(|error| error.message);
            Ok(vec![Finding::new(
                format!("file sink {}", path.display()),
                found,
            )])
        }
        #[cfg(feature = "kafka")]
        SinkKind::Kafka => {
            let topics: Vec<_> = topics_of(config, kind).map(Topic::for_sink).collect();
            Ok(kafka(config)?.inspect(&topics, deadline))
        }
        #[cfg(feature = "pubsub")]
        SinkKind::PubSub => {
            let topics: Vec<&str> = topics_of(config, kind).map(|topic| &*topic.name).collect();
            Ok(pubsub(config)?.inspect(&topics, deadline))
        }
        #[allow(unreachable_patterns, reason = "reached in a build without all sinks")]
        kind => Err(left_out(kind)),
    }
}

fn left_out(kind: SinkKind) -> SinkError {
    let name = name(kind);
    SinkError::permanent(format!(
        "this build has no sink `{name}`: it was made without the cargo feature `{name}`"
    ))
}

#[cfg(feature = "file")]
fn file(config: &Config) -> Result<iem_sink_file::FileSink, SinkError> {
    let file = &config.sink.file;
    iem_sink_file::FileSink::open(iem_sink_file::FileConfig {
        path: file.path.clone(),
        sync: file.sync,
        rotate_size: file.rotate_size as u64,
        rotate_age: file.rotate_age,
        compression: match file.compress {
            crate::config::Compression::None => iem_sink_file::Compression::None,
            crate::config::Compression::Zstd => iem_sink_file::Compression::Zstd,
        },
    })
}

#[cfg(feature = "kafka")]
fn kafka(config: &Config) -> Result<iem_sink_kafka::KafkaSink, SinkError> {
    let topics = || topics_of(config, SinkKind::Kafka);
    iem_sink_kafka::KafkaSink::open(iem_sink_kafka::KafkaConfig {
        bootstrap_servers: config.sink.kafka.bootstrap_servers.clone(),
        properties: config.sink.kafka.properties.0.clone(),
        client_id: config.server.name.clone(),
        deadline: topics()
            .map(|topic| topic.deadline)
            .max()
            .unwrap_or_default(),
        workers: topics()
            .map(|topic| topic.workers)
            .max()
            .unwrap_or_default(),
    })
}

#[cfg(feature = "pubsub")]
fn pubsub(config: &Config) -> Result<iem_sink_pubsub::PubSubSink, SinkError> {
    let pubsub = &config.sink.pubsub;
    let ordered = topics_of(config, SinkKind::PubSub).filter(|topic| topic.ordering);
    iem_sink_pubsub::PubSubSink::open(iem_sink_pubsub::PubSubConfig {
        project: pubsub.project.clone(),
        endpoint: (!pubsub.endpoint.is_empty()).then(|| pubsub.endpoint.clone()),
        credentials: (!pubsub.credentials.as_os_str().is_empty())
            .then(|| pubsub.credentials.clone()),
        ordered_topics: ordered.map(|topic| topic.name.clone()).collect(),
    })
}
