//! The backlogs of journals, forwarded without a gateway around them: by the topics' own pipelines,
//! which take nothing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use iem_journal::Status;
use iem_sink::{Sink, SinkErrorKind};

use super::error::{RunError, StartError};
use super::journals::Journals;
use crate::config::{Config, Durability};
use crate::pipeline::{Observer, Pipeline, Unobserved, Vitals};
use crate::record::Kind;
use crate::sinks::{self, Backends};

/// The time that a topic has to write its cursor, and a sink to close.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// The running pipelines of journaled topics.
pub struct Backlogs {
    topics: Vec<(Kind, Pipeline)>,
    dead_letters: Option<Box<dyn Sink>>,
    backends: Backends,
}

/// One topic's backlog at one moment.
pub struct Backlog {
    /// The topic.
    pub kind: Kind,
    /// The state of its journal.
    pub status: Status,
    /// The reason why the sink takes no records at present.
    pub trouble: Option<String>,
}

impl Backlogs {
    /// Opens the journals of these topics and then their sinks, and begins to forward. No folder of a
    /// journal is made.
    ///
    /// # Errors
    /// The first thing that cannot be opened.
    pub fn open(config: &Config, kinds: &[Kind]) -> Result<Self, StartError> {
        let config = &only(config, kinds);
        let journals = Journals::open(config, None)?;
        let parts = kinds.iter().map(|kind| journals.open_topic(*kind));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let sinks = kinds.iter().map(|kind| config.topics[*kind as usize].sink);
        let backends = sinks::open_some(sinks.collect(), config);
        let backends = backends.map_err(|error| StartError::Sink {
            sink: "sink".to_owned(),
            error,
        })?;
        let observer: Arc<dyn Observer> = Arc::new(Unobserved);
        let mut topics = Vec::new();
        for (kind, parts) in kinds.iter().zip(parts) {
            let topic = &config.topics[*kind as usize];
            let backend = &backends[&topic.sink];
            let pipeline = Pipeline::start(kind.topic(), topic, backend, &observer, parts, None)?;
            topics.push((*kind, pipeline));
        }
        Ok(Self {
            topics,
            dead_letters: journals.into_dead_letters(),
            backends,
        })
    }

    /// Returns the backlogs, in the order of the topics that were named.
    pub fn now(&self) -> Vec<Backlog> {
        let topics = self.topics.iter();
        let vitals = topics.map(|(kind, pipeline)| (*kind, pipeline.vitals()));
        vitals.map(|(kind, vitals)| state(kind, &vitals)).collect()
    }

    /// Waits until each sink has opened its topics or turns out to be away, at most until `deadline`.
    ///
    /// # Errors
    /// The first topic that its sink will not take until an operator changes something.
    pub fn opened(&self, deadline: Instant) -> Result<(), StartError> {
        for (kind, pipeline) in &self.topics {
            match pipeline.opened(deadline) {
                Err(error) if error.kind == SinkErrorKind::Permanent => {
                    return Err(StartError::of_topic(*kind, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Forwards for `time` at most, if anything is left, and ends: what is left stays in the journals,
    /// and their cursors are synced. Returns what is left, and the first cursor that was not written
    /// or sink that did not close in order.
    pub fn close(self, time: Duration) -> (Vec<Backlog>, Result<(), RunError>) {
        let Self {
            topics,
            dead_letters,
            backends,
        } = self;
        let until = Instant::now() + time;
        let deadline = until + CLOSE_TIME;
        for (_, pipeline) in &topics {
            pipeline.stop(until);
        }
        let mut left = Vec::new();
        let mut result = Ok(());
        for (kind, pipeline) in topics {
            let vitals = pipeline.vitals();
            let has_ended = pipeline.close(deadline);
            let backlog = state(kind, &vitals);
            let status = backlog.status;
            if !has_ended || status.synced_low != status.low {
                result = result.and(Err(RunError::CursorNotWritten(kind.topic())));
            }
            left.push(backlog);
        }
        drop(dead_letters);
        for backend in backends.into_values().filter_map(Arc::into_inner) {
            let closed = backend.sink.close(deadline);
            result = result.and(closed.map_err(|error| RunError::Sink {
                sink: backend.name,
                error,
            }));
        }
        (left, result)
    }
}

/// Returns the configuration with a journal for these topics alone, which has to be there.
fn only(config: &Config, kinds: &[Kind]) -> Config {
    let mut config = config.clone();
    config.journal.create = false;
    for kind in Kind::ALL {
        config.topics[kind as usize].durability = if kinds.contains(&kind) {
            Durability::Journaled
        } else {
            Durability::Delivered
        };
    }
    config
}

fn state(kind: Kind, vitals: &Vitals) -> Backlog {
    let journal = vitals.journal(SystemTime::now()).unwrap_or_default();
    Backlog {
        kind,
        status: journal.status,
        trouble: vitals.health().down(Instant::now()),
    }
}
