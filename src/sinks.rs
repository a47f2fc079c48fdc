//! Opens the backends that the configuration names, to write or to read back. The only file that
//! names the sink crates.

#![cfg_attr(
    not(all(feature = "file", feature = "kafka", feature = "pubsub")),
    allow(unused, reason = "each sink is a feature")
)]

mod kept;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iem_sink::{Finding, Reader, Sink, SinkError};

use crate::config::{Config, SinkKind, Topic};
use crate::pipeline::Backend;
pub use kept::Kept;

/// The backends that the topics use, each opened once.
pub type Backends = HashMap<SinkKind, Arc<Backend>>;

/// The folder of dead letters, beside those of the journals.
const DEAD_LETTERS: &str = "dead-letters";

/// The bounds of one file of dead letters.
const DEAD_LETTER_FILE_BYTES: u64 = 64 << 20;
const DEAD_LETTER_FILE_AGE: Duration = Duration::from_hours(1);

/// The time in which `check` inspects a backend.
const INSPECT_TIME: Duration = Duration::from_secs(10);

/// Opens every backend that a topic uses, and no other.
///
/// # Errors
/// The sink's error.
pub fn open(config: &Config) -> Result<Backends, SinkError> {
    open_some(in_use(config), config)
}

/// Opens some backends.
///
/// # Errors
/// The sink's error.
pub fn open_some(kinds: BTreeSet<SinkKind>, config: &Config) -> Result<Backends, SinkError> {
    kinds
        .into_iter()
        .map(|kind| Ok((kind, open_backend(kind, config)?)))
        .collect()
}

/// Opens one backend.
///
/// # Errors
/// The sink's error.
pub fn open_backend(kind: SinkKind, config: &Config) -> Result<Arc<Backend>, SinkError> {
    Ok(Arc::new(Backend {
        name: name(kind),
        sink: open_one(kind, config)?,
    }))
}

/// Checks that the sinks in use would start, and the files of dead letters; changes nothing.
pub fn inspect(config: &Config) -> Vec<Finding> {
    in_use(config)
        .into_iter()
        .flat_map(|kind| {
            inspect_one(kind, config).unwrap_or_else(|error| {
                let sink = format!("sink {}", name(kind));
                vec![Finding::new(sink, Err(error.message))]
            })
        })
        .chain(inspect_dead_letters(config))
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

/// Returns the name of a sink in the configuration.
pub fn name(kind: SinkKind) -> &'static str {
    match kind {
        SinkKind::File => "file",
        SinkKind::Kafka => "kafka",
        SinkKind::PubSub => "pubsub",
    }
}

/// Returns the sink and a topic there, in words that nothing with another
/// [limit](iem_sink::Writer::limit) has.
pub fn limit_place(topic: &Topic, config: &Config) -> String {
    let mut words = vec![name(topic.sink), &*topic.name];
    match topic.sink {
        SinkKind::File => {}
        SinkKind::Kafka => {
            words.push(&config.sink.kafka.bootstrap_servers);
            #[cfg(feature = "kafka")]
            words.extend(iem_sink_kafka::codecs(&config.sink.kafka.properties.0));
        }
        SinkKind::PubSub => words.push(&config.sink.pubsub.project),
    }
    words.join(" ")
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
            let found = inspect_files(path).map_err(|error| error.message);
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

/// Returns the folder of the dead letters of all topics.
pub fn dead_letter_folder(config: &Config) -> PathBuf {
    config.journal.path.join(DEAD_LETTERS)
}

fn inspect_dead_letters(config: &Config) -> Option<Finding> {
    if !config.topics.iter().any(Topic::keeps_dead_letters) {
        return None;
    }
    let path = dead_letter_folder(config);
    let journals = &config.journal.path;
    let found = if config.journal.create || journals.is_dir() {
        inspect_files(&path)
    } else {
        let path = journals.display();
        Err(SinkError::permanent(format!(
            "{path} is not there: mount its volume, or set journal.create = true"
        )))
    };
    let what = format!("dead letters {}", path.display());
    Some(Finding::new(what, found.map_err(|error| error.message)))
}

/// Describes a data directory of files that a start would find.
fn inspect_files(path: &Path) -> Result<String, SinkError> {
    #[cfg(feature = "file")]
    return iem_sink_file::FileSink::inspect(path);
    #[cfg(not(feature = "file"))]
    Err(left_out(SinkKind::File))
}

/// Opens files for records that a sink will never take: each is synced before the next.
///
/// # Errors
/// The folder cannot be made, or another process has it.
pub fn dead_letters(path: &Path) -> Result<Box<dyn Sink>, SinkError> {
    #[cfg(feature = "file")]
    {
        let config = iem_sink_file::FileConfig {
            path: path.to_owned(),
            sync: true,
            rotate_size: DEAD_LETTER_FILE_BYTES,
            rotate_age: DEAD_LETTER_FILE_AGE,
            compression: iem_sink_file::Compression::None,
        };
        Ok(Box::new(iem_sink_file::FileSink::open(config)?))
    }
    #[cfg(not(feature = "file"))]
    Err(left_out(SinkKind::File))
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
    iem_sink_kafka::KafkaSink::open(kafka_config(config))
}

#[cfg(feature = "kafka")]
fn kafka_config(config: &Config) -> iem_sink_kafka::KafkaConfig {
    let topics = || topics_of(config, SinkKind::Kafka);
    iem_sink_kafka::KafkaConfig {
        bootstrap_servers: config.sink.kafka.bootstrap_servers.clone(),
        properties: config.sink.kafka.properties.0.clone(),
        client_id: config.server.name.clone(),
        deadline: topics().map(|topic| topic.deadline).max(),
        workers: topics()
            .map(|topic| topic.workers)
            .max()
            .unwrap_or_default(),
    }
}

#[cfg(feature = "pubsub")]
fn pubsub(config: &Config) -> Result<iem_sink_pubsub::PubSubSink, SinkError> {
    iem_sink_pubsub::PubSubSink::open(pubsub_config(config))
}

#[cfg(feature = "pubsub")]
fn pubsub_config(config: &Config) -> iem_sink_pubsub::PubSubConfig {
    let pubsub = &config.sink.pubsub;
    let ordered = topics_of(config, SinkKind::PubSub).filter(|topic| topic.ordering);
    iem_sink_pubsub::PubSubConfig {
        project: pubsub.project.clone(),
        endpoint: (!pubsub.endpoint.is_empty()).then(|| pubsub.endpoint.clone()),
        credentials: (!pubsub.credentials.as_os_str().is_empty())
            .then(|| pubsub.credentials.clone()),
        ordered_topics: ordered.map(|topic| topic.name.clone()).collect(),
    }
}

/// A topic at its backend, to be read back.
pub struct Source {
    topic: String,
    backend: SourceBackend,
}

enum SourceBackend {
    /// The data directory.
    File(PathBuf),
    #[cfg(feature = "kafka")]
    Kafka(iem_sink_kafka::KafkaReader),
    #[cfg(feature = "pubsub")]
    PubSub(iem_sink_pubsub::PubSubReader),
}

impl Source {
    /// Makes a source of a topic. Makes no connection yet. Only Pub/Sub needs a subscription.
    ///
    /// # Errors
    /// The configuration's.
    pub fn new(config: &Config, topic: &Topic, subscription: &str) -> Result<Self, SinkError> {
        let name = &topic.name;
        let backend = match topic.sink {
            SinkKind::File => SourceBackend::File(config.sink.file.path.clone()),
            #[cfg(feature = "kafka")]
            SinkKind::Kafka => {
                let config = kafka_config(config);
                SourceBackend::Kafka(iem_sink_kafka::KafkaReader::new(&config, name)?)
            }
            #[cfg(feature = "pubsub")]
            SinkKind::PubSub => {
                let config = pubsub_config(config);
                SourceBackend::PubSub(iem_sink_pubsub::PubSubReader::new(&config, subscription)?)
            }
            #[allow(unreachable_patterns, reason = "reached in a build without all sinks")]
            kind => return Err(left_out(kind)),
        };
        Ok(Self {
            topic: name.clone(),
            backend,
        })
    }

    /// Returns the backend and the topic, in words.
    pub fn describe(&self) -> String {
        let sink = match self.backend {
            SourceBackend::File(_) => name(SinkKind::File),
            #[cfg(feature = "kafka")]
            SourceBackend::Kafka(_) => name(SinkKind::Kafka),
            #[cfg(feature = "pubsub")]
            SourceBackend::PubSub(_) => name(SinkKind::PubSub),
        };
        format!("{sink} topic {}", self.topic)
    }

    /// Returns whether what is read is taken away from the backend.
    pub fn gives_out_once(&self) -> bool {
        match self.backend {
            SourceBackend::File(_) => false,
            #[cfg(feature = "kafka")]
            SourceBackend::Kafka(_) => false,
            #[cfg(feature = "pubsub")]
            SourceBackend::PubSub(_) => true,
        }
    }

    /// Returns the end of each partition of Kafka, and nothing for any other backend. Checks that
    /// the topic can be read.
    ///
    /// # Errors
    /// It cannot.
    pub fn position(&self, deadline: Instant) -> Result<BTreeMap<i32, i64>, SinkError> {
        match &self.backend {
            #[cfg(feature = "file")]
            SourceBackend::File(path) => {
                iem_sink_file::FileReader::open(path, &self.topic, SystemTime::now())?;
                Ok(BTreeMap::new())
            }
            #[cfg(not(feature = "file"))]
            SourceBackend::File(_) => Err(left_out(SinkKind::File)),
            #[cfg(feature = "kafka")]
            SourceBackend::Kafka(reader) => reader.ends(deadline),
            #[cfg(feature = "pubsub")]
            SourceBackend::PubSub(reader) => {
                reader.check(&self.topic, deadline)?;
                Ok(BTreeMap::new())
            }
        }
    }

    /// Begins to read: Kafka at these offsets, files unless they were last changed before `since`.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub fn begin(
        self,
        offsets: &BTreeMap<i32, i64>,
        since: SystemTime,
        deadline: Instant,
    ) -> Result<Box<dyn Reader>, SinkError> {
        match self.backend {
            #[cfg(feature = "file")]
            SourceBackend::File(path) => {
                let reader = iem_sink_file::FileReader::open(&path, &self.topic, since)?;
                Ok(Box::new(reader))
            }
            #[cfg(not(feature = "file"))]
            SourceBackend::File(_) => Err(left_out(SinkKind::File)),
            #[cfg(feature = "kafka")]
            SourceBackend::Kafka(mut reader) => {
                reader.begin_at(offsets, deadline)?;
                Ok(Box::new(reader))
            }
            #[cfg(feature = "pubsub")]
            SourceBackend::PubSub(mut reader) => {
                reader.check(&self.topic, deadline)?;
                reader.begin()?;
                Ok(Box::new(reader))
            }
        }
    }
}
