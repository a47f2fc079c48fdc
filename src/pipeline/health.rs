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
}

/// The last error of a sink, which may have been mended since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// The sink's message.
    pub message: String,
    /// The time of the error.
    pub at: Instant,
}

/// The state of the calls of one caller.
#[derive(Debug, Default)]
struct Calls {
    /// The caller has opened the topic at the sink. It is down until then.
    is_open: bool,
    fault: Option<Fault>,
    /// The deadline of the call that it is in.
    due: Option<Instant>,
}

/// The health of one topic. It is down while a caller's last report is a fault, and logs each change
/// once.
#[derive(Debug)]
pub struct Health {
    /// The topic's own name.
    pub topic: &'static str,
    /// The name of its sink.
    pub sink: &'static str,
    /// The workers' calls, and behind them the check's.
    callers: Mutex<Vec<Calls>>,
    last_error: Mutex<Option<LastError>>,
}

impl Health {
    pub(super) fn new(topic: &'static str, sink: &'static str, workers: usize) -> Self {
        let health = Self {
            topic,
            sink,
            callers: Mutex::new((0..=workers).map(|_| Calls::default()).collect()),
            last_error: Mutex::default(),
        };
        health.opened(Caller::Check);
        health
    }

    /// Notes that `caller` has opened the topic. A worker is then served again.
    pub fn opened(&self, caller: Caller) {
        let mut callers = self.callers.lock();
        let calls = caller.of(&mut callers);
        calls.is_open = true;
        let had_fault = calls.fault.take().is_some();
        if had_fault {
            self.log_end(&callers);
        }
    }

    /// Returns why the topic is down at `now`: a fault, or a call that hangs. `None` means that it is
    /// up.
    pub fn down(&self, now: Instant) -> Option<String> {
        let callers = self.callers.lock();
        if let Some(fault) = callers.iter().find_map(|calls| calls.fault.as_ref()) {
            return Some(fault.reason.clone());
        }
        if callers.iter().any(|calls| !calls.is_open) {
            return Some("the sink has not opened the topic yet".to_owned());
        }
        let overdue = callers
            .iter()
            .filter_map(|calls| calls.due)
            .map(|due| now.saturating_duration_since(due))
            .max()?;
        (overdue > GRACE).then(|| format!("a call is {} s behind its deadline", overdue.as_secs()))
    }

    /// Returns the sink's last error, if it has had one.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    /// Notes that `caller` calls the sink, and that the call must return by `due`.
    pub fn calls(&self, caller: Caller, due: Instant) {
        let mut callers = self.callers.lock();
        caller.of(&mut callers).due = Some(due);
    }

    /// Notes that the call returned.
    pub fn returned(&self, caller: Caller) {
        let mut callers = self.callers.lock();
        caller.of(&mut callers).due = None;
    }

    /// Notes that the sink failed `caller` at `now`.
    pub fn fails(&self, caller: Caller, error: &SinkError, now: Instant) {
        let mut callers = self.callers.lock();
        if callers.iter().all(|calls| calls.fault.is_none()) {
            tracing::warn!(topic = self.topic, sink = self.sink, %error, "the sink does not take records");
        }
        caller.of(&mut callers).fault = Some(Fault {
            reason: error.message.clone(),
            at: now,
        });
        *self.last_error.lock() = Some(LastError {
            message: error.message.clone(),
            at: now,
        });
    }

    /// Notes that the sink served `caller` at `now`. A check that succeeds also ends faults of
    /// workers that have not called the sink for a while.
    pub fn works(&self, caller: Caller, now: Instant) {
        let mut callers = self.callers.lock();
        if callers.iter().all(|calls| calls.fault.is_none()) {
            return;
        }
        caller.of(&mut callers).fault = None;
        if caller == Caller::Check {
            for calls in &mut *callers {
                let is_open = calls.is_open;
                calls.fault.take_if(|fault| {
                    is_open && now.saturating_duration_since(fault.at) >= WRITE_COUNTS_FOR
                });
            }
        }
        self.log_end(&callers);
    }

    fn log_end(&self, callers: &[Calls]) {
        if callers.iter().all(|calls| calls.fault.is_none()) {
            tracing::info!(
                topic = self.topic,
                sink = self.sink,
                "the sink takes records again"
            );
        }
    }
}

impl Caller {
    fn of(self, callers: &mut [Calls]) -> &mut Calls {
        let check = callers.len() - 1;
        match self {
            Self::Check => &mut callers[check],
            Self::Worker(index) => &mut callers[index],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> SinkError {
        SinkError::transient("away")
    }

    #[test]
    fn a_failure_stands_until_its_caller_is_served() {
        let (health, now) = (Health::new("events", "file", 2), Instant::now());
        health.fails(Caller::Worker(1), &away(), now);
        health.works(Caller::Check, now + WRITE_COUNTS_FOR);
        assert!(health.down(now).is_some(), "it is not open yet");
        health.opened(Caller::Worker(0));
        assert!(health.down(now).is_some(), "one worker is not enough");
        health.opened(Caller::Worker(1));
        let down = |now| health.down(now);
        assert_eq!(down(now), None);
        health.fails(Caller::Check, &away(), now);
        assert_eq!(down(now).as_deref(), Some("away"));
        health.works(Caller::Check, now);
        assert_eq!(down(now), None, "a check mends what a check found");
        health.fails(Caller::Worker(0), &away(), now);
        health.works(Caller::Check, now);
        health.works(Caller::Worker(1), now);
        assert_eq!(
            down(now).as_deref(),
            Some("away"),
            "neither a check nor another worker outweighs a worker"
        );
        health.works(Caller::Worker(0), now);
        assert_eq!(down(now), None);
        health.fails(Caller::Worker(0), &away(), now);
        health.works(Caller::Check, now + WRITE_COUNTS_FOR);
        assert_eq!(
            down(now),
            None,
            "a failure long ago, and nothing was sent since"
        );
        let last = health.last_error().expect("it has failed");
        assert_eq!((&*last.message, last.at), ("away", now));
    }

    #[test]
    fn a_hanging_call_makes_the_topic_down() {
        let (health, now) = (Health::new("events", "file", 1), Instant::now());
        health.opened(Caller::Worker(0));
        health.calls(Caller::Worker(0), now);
        assert_eq!(health.down(now + GRACE), None);
        let late = now + Duration::from_secs(7);
        assert_eq!(
            health.down(late).as_deref(),
            Some("a call is 7 s behind its deadline")
        );
        health.returned(Caller::Worker(0));
        assert_eq!(health.down(late), None);
    }
}
