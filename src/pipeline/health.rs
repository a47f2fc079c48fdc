//! Whether a topic's deliveries succeed, for readiness. Workers and the periodic check write it. It
//! never decides whether a record is taken.

use std::time::{Duration, Instant};

use iem_sink::SinkError;
use parking_lot::Mutex;

/// How long a failed write outweighs a check that succeeds: a sink may pass its check and still take
/// no records.
const WRITE_COUNTS_FOR: Duration = Duration::from_secs(10);
/// How far behind its deadline a call must be to count as hanging.
const GRACE: Duration = Duration::from_secs(1);

/// The caller of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The periodic check.
    Check,
    /// A worker, by its index.
    Worker(usize),
}

#[derive(Debug)]
struct Fault {
    reason: String,
    at: Instant,
    by: Caller,
}

#[derive(Debug)]
struct State {
    fault: Option<Fault>,
    /// The deadline of the call that each caller is in, the check's first.
    due: Vec<Option<Instant>>,
}

/// The health of one topic. It changes only when a call of the sink succeeds or fails, and logs
/// each change once.
#[derive(Debug)]
pub struct Health {
    /// The topic's own name.
    pub topic: &'static str,
    /// The name of its sink.
    pub sink: &'static str,
    state: Mutex<State>,
}

impl Health {
    pub(super) fn new(topic: &'static str, sink: &'static str, workers: usize) -> Self {
        Self {
            topic,
            sink,
            state: Mutex::new(State {
                fault: None,
                due: vec![None; workers + 1],
            }),
        }
    }

    /// Returns why the topic is down at `now`: its last failure, or a call that hangs. `None` means
    /// that it is up.
    pub fn down(&self, now: Instant) -> Option<String> {
        let state = self.state.lock();
        if let Some(fault) = &state.fault {
            return Some(fault.reason.clone());
        }
        let overdue = state
            .due
            .iter()
            .flatten()
            .map(|due| now.saturating_duration_since(*due))
            .max()?;
        (overdue > GRACE).then(|| format!("a call is {} s behind its deadline", overdue.as_secs()))
    }

    /// Notes that `caller` calls the sink, and that the call must return by `due`.
    pub fn calls(&self, caller: Caller, due: Instant) {
        self.state.lock().due[caller.slot()] = Some(due);
    }

    /// Notes that the call returned at `now`, with its result.
    pub fn returned<T>(&self, caller: Caller, result: &Result<T, SinkError>, now: Instant) {
        let mut state = self.state.lock();
        state.due[caller.slot()] = None;
        match result {
            Ok(_) => {
                if state
                    .fault
                    .as_ref()
                    .is_some_and(|fault| fault.is_mended_by(caller, now))
                {
                    state.fault = None;
                    tracing::info!(
                        topic = self.topic,
                        sink = self.sink,
                        "the sink takes records again"
                    );
                }
            }
            Err(error) => {
                if state.fault.is_none() {
                    tracing::warn!(topic = self.topic, sink = self.sink, %error, "the sink does not take records");
                }
                state.fault = Some(Fault {
                    reason: error.message.clone(),
                    at: now,
                    by: caller,
                });
            }
        }
    }
}

impl Caller {
    fn slot(self) -> usize {
        match self {
            Self::Check => 0,
            Self::Worker(index) => index + 1,
        }
    }
}

impl Fault {
    fn is_mended_by(&self, caller: Caller, now: Instant) -> bool {
        match (caller, self.by) {
            (Caller::Worker(_), _) | (Caller::Check, Caller::Check) => true,
            (Caller::Check, Caller::Worker(_)) => {
                now.saturating_duration_since(self.at) >= WRITE_COUNTS_FOR
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Result<(), SinkError> {
        Err(SinkError::transient("away"))
    }

    #[test]
    fn a_failure_stands_until_a_write_succeeds() {
        let (health, now) = (Health::new("events", "file", 1), Instant::now());
        let worker = Caller::Worker(0);
        assert_eq!(health.down(now), None);
        health.returned(Caller::Check, &failure(), now);
        assert_eq!(health.down(now).as_deref(), Some("away"));
        health.returned(Caller::Check, &Ok(()), now);
        assert_eq!(health.down(now), None, "a check mends what a check found");
        health.returned(worker, &failure(), now);
        health.returned(Caller::Check, &Ok(()), now);
        assert_eq!(
            health.down(now).as_deref(),
            Some("away"),
            "a check does not outweigh a write"
        );
        health.returned(worker, &Ok(()), now);
        assert_eq!(health.down(now), None);
        health.returned(worker, &failure(), now);
        health.returned(Caller::Check, &Ok(()), now + WRITE_COUNTS_FOR);
        assert_eq!(
            health.down(now),
            None,
            "a write long ago, and nothing was written since"
        );
    }

    #[test]
    fn a_hanging_call_makes_the_topic_down() {
        let (health, now) = (Health::new("events", "file", 1), Instant::now());
        health.calls(Caller::Worker(0), now);
        assert_eq!(health.down(now + GRACE), None);
        let late = now + Duration::from_secs(7);
        assert_eq!(
            health.down(late).as_deref(),
            Some("a call is 7 s behind its deadline")
        );
        health.returned(Caller::Worker(0), &Ok(()), late);
        assert_eq!(health.down(late), None);
    }
}
