//! The topics: each is started at its sink before any port is opened.

use std::sync::Arc;

use super::error::StartError;
use crate::config::Config;
use crate::http::api::Topic;
use crate::pipeline::{Observer, Pipeline};
use crate::record::Kind;
use crate::sinks::Backends;
use crate::telemetry::Metrics;

/// Starts the topics one after the other. If a backend is away, the first error is enough.
pub(super) fn start(
    config: &Config,
    backends: &Backends,
    metrics: &Metrics,
) -> Result<[Topic; Kind::COUNT], StartError> {
    let topics = Kind::ALL
        .into_iter()
        .map(|kind| start_one(kind, config, backends, metrics))
        .collect::<Result<Vec<_>, _>>()?;
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
    let pipeline = Pipeline::start(kind.topic(), topic, backend, &observer).map_err(|error| {
        StartError::Sink {
            sink: format!("topics.{}", kind.topic()),
            error,
        }
    })?;
    Ok(Topic {
        pipeline,
        key_fields: topic.key.iter().map(String::as_str).collect(),
    })
}
