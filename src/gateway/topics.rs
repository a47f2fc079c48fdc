//! The topics: each is started at its sink before any port is opened.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iem_sink::{Sink, SinkErrorKind};

use super::error::StartError;
use super::journals::Journals;
use crate::config::Config;
use crate::http::api::Topic;
use crate::pipeline::{Observer, Pipeline};
use crate::record::Kind;
use crate::sinks::Backends;
use crate::telemetry::Metrics;
use crate::telemetry::traces::Tracer;

/// The time that the sinks have to open the topics. A sink that needs longer is away: its topics
/// answer 503 until it is back.
const OPEN_TIME: Duration = Duration::from_secs(5);

/// The running topics.
pub(super) struct Topics {
    /// By [`Kind`].
    pub(super) topics: [Topic; Kind::COUNT],
    /// The files of dead letters, if a topic keeps any.
    pub(super) dead_letters: Option<Box<dyn Sink>>,
}

/// Starts the topics, all at once, and waits until each is open or its sink turns out to be away. A
/// topic whose journal has a backlog is not waited for.
///
/// # Errors
/// The first topic that its sink will not take until an operator changes something.
pub(super) fn start(
    config: &Config,
    backends: &Backends,
    metrics: &Metrics,
    tracer: Option<&Arc<Tracer>>,
) -> Result<Topics, StartError> {
    let journals = Journals::open(config, tracer)?;
    let topics = Kind::ALL
        .into_iter()
        .map(|kind| start_one(kind, config, backends, &journals, metrics))
        .collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + OPEN_TIME;
    for (kind, topic) in Kind::ALL.into_iter().zip(&topics) {
        // A backlog is forwarded once the sink is back, or an operator has mended it. More is taken
        // meanwhile, and at once.
        let deadline = if has_backlog(topic) {
            Instant::now()
        } else {
            deadline
        };
        match topic.pipeline.opened(deadline) {
            Err(error) if error.kind == SinkErrorKind::Permanent && has_backlog(topic) => {
                tracing::error!(topic = kind.topic(), %error, "the sink does not take the topic");
            }
            Err(error) if error.kind == SinkErrorKind::Permanent => {
                return Err(StartError::of_topic(kind, error));
            }
            // The worker has logged it, and tries again.
            Ok(()) | Err(_) => {}
        }
    }
    let topics = topics
        .try_into()
        .unwrap_or_else(|_| unreachable!("a topic for each kind"));
    Ok(Topics {
        topics,
        dead_letters: journals.into_dead_letters(),
    })
}

fn has_backlog(topic: &Topic) -> bool {
    let journal = topic.pipeline.vitals().journal(SystemTime::now());
    journal.is_some_and(|journal| journal.status.counts.backlog() > 0)
}

fn start_one(
    kind: Kind,
    config: &Config,
    backends: &Backends,
    journals: &Journals<'_>,
    metrics: &Metrics,
) -> Result<Topic, StartError> {
    let topic = &config.topics[kind as usize];
    let backend = &backends[&topic.sink];
    let observer: Arc<dyn Observer> = Arc::clone(metrics.topic(kind)) as _;
    Ok(Topic {
        pipeline: Pipeline::start(
            kind.topic(),
            topic,
            backend,
            &observer,
            journals.open_topic(kind)?,
            journals.open_rejected(kind)?,
        )?,
        key_fields: topic.key.iter().map(String::as_str).collect(),
    })
}
