//! The topics: each is started at its sink before any port is opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::SinkErrorKind;

use super::error::StartError;
use crate::config::Config;
use crate::http::api::Topic;
use crate::pipeline::{Observer, Pipeline};
use crate::record::Kind;
use crate::sinks::Backends;
use crate::telemetry::Metrics;

/// The time that the sinks have to open the topics. A sink that needs longer is away: its topics
/// answer 503 until it is back.
const OPEN_TIME: Duration = Duration::from_secs(5);

/// Starts the topics, all at once, and waits until each is open or its sink turns out to be away.
///
/// # Errors
/// The first topic that its sink will not take until an operator changes something.
pub(super) fn start(
    config: &Config,
    backends: &Backends,
    metrics: &Metrics,
) -> Result<[Topic; Kind::COUNT], StartError> {
    let topics = Kind::ALL
        .into_iter()
        .map(|kind| start_one(kind, config, backends, metrics))
        .collect::<Result<Vec<_>, _>>()?;
    let deadline = Instant::now() + OPEN_TIME;
    for (kind, topic) in Kind::ALL.into_iter().zip(&topics) {
        match topic.pipeline.opened(deadline) {
            Err(error) if error.kind == SinkErrorKind::Permanent => {
                let sink = format!("topics.{}", kind.topic());
                return Err(StartError::Sink { sink, error });
            }
            // The worker has logged it, and tries again.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(topics
        .try_into()
        .unwrap_or_else(|_| unreachable!("a topic for each kind")))
}

fn start_one(
    kind: Kind,
    config: &Config,
    backends: &Backends,
    metrics: &Metrics,
) -> Result<Topic, StartError> {
    let topic = &config.topics[kind as usize];
    let backend = &backends[&topic.sink];
    let observer: Arc<dyn Observer> = Arc::clone(metrics.topic(kind)) as _;
    Ok(Topic {
        pipeline: Pipeline::start(kind.topic(), topic, backend, &observer)?,
        key_fields: topic.key.iter().map(String::as_str).collect(),
    })
}
