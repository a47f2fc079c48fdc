//! Replays of dead letters from within the running gateway: to the topic's own sink, beside what
//! clients send. One runs at a time, on a thread of its own.

#![cfg_attr(
    not(feature = "file"),
    allow(unused, reason = "dead letters are files")
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::journals;
use crate::admin::console::{Replay, ReplayOutcome};
use crate::background::{Background, Signals};
use crate::config::{Config, Durability};
use crate::pipeline::Backend;
use crate::record::Kind;
#[cfg(feature = "file")]
use crate::replay::{Ending, Files, Report, Sending, SentLines};
use crate::sinks::Backends;

/// The time after which a replay is given up if the sink takes nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most records of a replay, and their bytes, that are under way at once.
const WINDOW_RECORDS: usize = 1_000;
const WINDOW_BYTES: usize = 8 << 20;

/// The replays of a gateway.
pub(super) struct Replays {
    config: Config,
    backends: Mutex<Backends>,
    running: Mutex<Option<Background>>,
    topics: Arc<Topics>,
}

/// The replays of each topic, as far as they are known.
#[derive(Default)]
struct Topics {
    states: Mutex<HashMap<&'static str, Replay>>,
    /// The lines of files that are still being written that the sink has.
    #[cfg(feature = "file")]
    sent: Mutex<SentLines>,
}

impl Replays {
    pub(super) fn new(config: &Config, backends: &Backends) -> Self {
        Self {
            config: config.clone(),
            backends: Mutex::new(backends.clone()),
            running: Mutex::default(),
            topics: Arc::default(),
        }
    }

    /// Returns the replay of a topic that runs, or the last one.
    pub(super) fn state(&self, kind: Kind) -> Option<Replay> {
        self.topics.states.lock().get(kind.topic()).cloned()
    }

    /// Begins to replay a topic's dead letters. Returns `false` if a replay runs already, or if the
    /// gateway is about to end.
    pub(super) fn start(&self, kind: Kind) -> bool {
        let mut running = self.running.lock();
        let mut states = self.topics.states.lock();
        if states.values().any(|state| state.outcome.is_none()) {
            return false;
        }
        let topic = &self.config.topics[kind as usize];
        let Some(backend) = self.backends.lock().get(&topic.sink).cloned() else {
            return false;
        };
        let config = config_at(&self.config, kind);
        let topics = Arc::clone(&self.topics);
        let unfinished = Unfinished {
            topics: Arc::clone(&topics),
            kind,
        };
        let work = move |signals: &Signals| {
            let _unfinished = unfinished;
            let outcome = run(&config, &backend, kind, &topics, signals);
            // A sink can be closed once nobody else has it.
            drop(backend);
            if let Some(state) = topics.states.lock().get_mut(kind.topic()) {
                state.outcome = Some(outcome);
            }
        };
        match Background::start(format!("{}-replay", kind.topic()), work) {
            Ok(started) => {
                states.insert(kind.topic(), Replay::default());
                *running = Some(started);
                true
            }
            Err(error) => {
                tracing::error!(%error, "cannot start a replay");
                false
            }
        }
    }

    /// Tells the replay to end, and begins no other.
    pub(super) fn signal_stop(&self) {
        self.backends.lock().clear();
        if let Some(running) = &*self.running.lock() {
            running.signal_stop();
        }
    }

    /// Waits until the replay has ended, at most until `deadline`.
    pub(super) fn stop(&self, deadline: Instant) {
        self.signal_stop();
        if let Some(running) = &*self.running.lock() {
            running.stop(deadline);
        }
    }
}

/// Ends the state of a replay whose thread ends before its time.
struct Unfinished {
    topics: Arc<Topics>,
    kind: Kind,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut states = self.topics.states.lock();
        let state = states.get_mut(self.kind.topic());
        if let Some(state) = state.filter(|state| state.outcome.is_none()) {
            state.outcome = Some(ReplayOutcome {
                error: Some("its thread has ended; the log says more".to_owned()),
                ..ReplayOutcome::default()
            });
        }
    }
}

/// Returns the configuration of a replay: all topics at this topic's sink, which gives up none of
/// their records, and little under way.
fn config_at(config: &Config, kind: Kind) -> Config {
    let sink = config.topics[kind as usize].sink;
    let mut config = config.clone();
    for topic in &mut config.topics {
        topic.sink = sink;
        topic.durability = Durability::Journaled;
    }
    config.journal.window_records = config.journal.window_records.min(WINDOW_RECORDS);
    config.journal.window_bytes = config.journal.window_bytes.min(WINDOW_BYTES);
    config
}

#[cfg(feature = "file")]
fn run(
    config: &Config,
    backend: &Arc<Backend>,
    kind: Kind,
    topics: &Topics,
    signals: &Signals,
) -> ReplayOutcome {
    let folder = journals::dead_letters(config, kind);
    let mut report = Report::new(backend.name);
    let sent = topics.sent.lock().clone();
    let failed = |error: String| ReplayOutcome {
        error: Some(error),
        ..ReplayOutcome::default()
    };
    let files = match Files::resumed(&folder, sent, &mut report) {
        Ok(files) => files,
        Err(error) => return failed(error.message),
    };
    let mut tell = |done: iem_journal::PassProgress, trouble: &dyn Fn() -> Option<String>| {
        if let Some(state) = topics.states.lock().get_mut(kind.topic()) {
            state.records = done.records;
            state.bytes = done.bytes;
            state.bytes_total = done.bytes_total;
            state.trouble = trouble();
        }
    };
    let is_stopped = || !signals.wait(Duration::ZERO);
    let sending = Sending::new(config, backend, None, files, report);
    let (report, sent) = match sending.run(Some(PATIENCE), &is_stopped, &mut tell) {
        Ok(sent) => sent,
        Err(error) => return failed(error.to_string()),
    };
    topics.sent.lock().extend(sent);
    let outcome = outcome(&report);
    tracing::info!(
        topic = kind.topic(),
        delivered = outcome.delivered,
        refused = outcome.refused,
        error = outcome.error,
        "dead letters replayed"
    );
    outcome
}

#[cfg(not(feature = "file"))]
fn run(_: &Config, _: &Arc<Backend>, _: Kind, _: &Topics, _: &Signals) -> ReplayOutcome {
    ReplayOutcome {
        error: Some("this build has no files".to_owned()),
        ..ReplayOutcome::default()
    }
}

#[cfg(feature = "file")]
fn outcome(report: &Report) -> ReplayOutcome {
    let reason = report
        .stopped_at
        .as_ref()
        .map(|entry| entry.reason.as_str());
    let reason = reason.filter(|reason| !reason.is_empty());
    let early = (report.ending != Ending::Done).then(|| match reason {
        Some(reason) => format!("{}: {reason}", report.ending),
        None => report.ending.to_string(),
    });
    ReplayOutcome {
        delivered: report.topics.iter().map(|tally| tally.delivered).sum(),
        refused: report.refused.count() + report.problems.count(),
        not_delivered: report.topics.iter().map(|tally| tally.not_delivered).sum(),
        removed: report.removed,
        error: early,
    }
}
