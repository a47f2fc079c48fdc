//! A sink whose behaviour a test sets for each topic while it runs, and which keeps the records
//! that it delivered.

mod behaviour;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub use self::behaviour::{Behaviour, Predicate};
use crate::{
    Outcome, Reason, Record, RecordLimit, Sending, Settled, Sink, SinkError, TopicConfig, Writer,
};

/// How long [`ScriptedSink::wait_for`] waits before it fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The calls and records that a scripted topic has seen so far.
#[derive(Clone, Default)]
pub struct Log {
    /// The delivered records, in order.
    pub delivered: Vec<Record>,
    /// The number of records in each call of [`Writer::send`], in the order of the calls' begin.
    pub batches: Vec<usize>,
    /// The number of calls that wait now, in [`Behaviour::Delay`] or one of the stalls.
    pub waiting: usize,
    /// The number of writers of the topic that are open now.
    pub writers: usize,
}

/// A sink that behaves as a test sets it. Clones are handles of the same sink: a test keeps one and
/// gives one away, and reopens a closed sink through another handle.
#[derive(Clone, Default)]
pub struct ScriptedSink {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    topics: HashMap<String, Topic>,
    check: Option<SinkError>,
    closed: usize,
}

#[derive(Default)]
struct Topic {
    /// Behaviours for one call each, used before the standing one.
    next: VecDeque<Behaviour>,
    standing: Behaviour,
    refused: Option<SinkError>,
    limit: Option<usize>,
    releases: usize,
    log: Log,
}

impl ScriptedSink {
    /// Creates a sink that delivers everything, until a test sets another behaviour.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the behaviour of `topic` from the next call on. Calls that wait are released.
    pub fn set(&self, topic: &str, behaviour: Behaviour) {
        self.change(topic, |topic| {
            topic.next.clear();
            topic.standing = behaviour;
            topic.releases += 1;
        });
    }

    /// Sets the behaviour of one call: the next one for which none is set yet.
    pub fn once(&self, topic: &str, behaviour: Behaviour) {
        self.change(topic, |topic| topic.next.push_back(behaviour));
    }

    /// Releases the calls that wait at `topic`. Later calls wait again, if that is the topic's
    /// behaviour.
    pub fn release(&self, topic: &str) {
        self.change(topic, |topic| topic.releases += 1);
    }

    /// Makes [`Sink::writer`] fail for `topic`; with `None`, succeed again.
    pub fn refuse(&self, topic: &str, error: Option<SinkError>) {
        self.change(topic, |topic| topic.refused = error);
    }

    /// Sets the most bytes of a record of `topic`. Larger ones are rejected.
    pub fn set_limit(&self, topic: &str, limit: Option<usize>) {
        self.change(topic, |topic| topic.limit = limit);
    }

    /// Makes [`Sink::check`] fail; with `None`, succeed again.
    pub fn set_check(&self, error: Option<SinkError>) {
        self.shared.state.lock().check = error;
    }

    /// Returns the log of `topic`.
    pub fn log(&self, topic: &str) -> Log {
        self.shared.state.lock().topic(topic).log.clone()
    }

    /// Returns how often the sink was closed.
    pub fn closed(&self) -> usize {
        self.shared.state.lock().closed
    }

    /// Blocks until `condition` holds for the log of `topic`, and returns the log. Fails the test
    /// after 20 s.
    pub fn wait_for(&self, topic: &str, condition: impl Fn(&Log) -> bool) -> Log {
        let mut state = self.shared.state.lock();
        let waited = self.shared.changed.wait_while_for(
            &mut state,
            |state| !condition(&state.topic(topic).log),
            PATIENCE,
        );
        let log = state.topic(topic).log.clone();
        drop(state);
        assert!(
            !waited.timed_out() || condition(&log),
            "the condition on topic {topic} did not hold within {PATIENCE:?}: {log:?}"
        );
        log
    }

    fn change(&self, topic: &str, change: impl FnOnce(&mut Topic)) {
        change(self.shared.state.lock().topic(topic));
        self.shared.changed.notify_all();
    }
}

impl Sink for ScriptedSink {
    fn writer(&self, topic: &TopicConfig, _: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let refused = self.shared.state.lock().topic(&topic.name).refused.clone();
        if let Some(error) = refused {
            return Err(error);
        }
        self.change(&topic.name, |topic| topic.log.writers += 1);
        Ok(Box::new(ScriptedWriter {
            sink: self.clone(),
            topic: topic.name.clone(),
        }))
    }

    fn check(&self, _deadline: Instant) -> Result<(), SinkError> {
        self.shared.state.lock().check.clone().map_or(Ok(()), Err)
    }

    fn close(self: Box<Self>, _deadline: Instant) -> Result<(), SinkError> {
        self.shared.state.lock().closed += 1;
        self.shared.changed.notify_all();
        Ok(())
    }
}

struct ScriptedWriter {
    sink: ScriptedSink,
    topic: String,
}

/// Writes as a disk does: before it returns.
impl Writer for ScriptedWriter {
    fn limit(&self) -> RecordLimit {
        let limit = self.sink.shared.state.lock().topic(&self.topic).limit;
        limit.map_or(RecordLimit::None, RecordLimit::Bytes)
    }

    fn send(&mut self, sending: &[Sending<'_>], deadline: Instant, settled: &mut Settled) {
        let records: Vec<&Record> = sending.iter().map(|one| one.record).collect();
        let mut outcomes = vec![Outcome::Retryable; records.len()];
        let error = self.write(&records, &mut outcomes, deadline).err();
        for (one, outcome) in sending.iter().zip(outcomes) {
            let failed = error.as_ref().filter(|_| outcome == Outcome::Retryable);
            settled.tell(one.token, failed.map_or(outcome, SinkError::outcome));
        }
        if let Some(error) = error {
            settled.fault(error);
        }
    }
}

impl ScriptedWriter {
    fn write(
        &self,
        records: &[&Record],
        outcomes: &mut [Outcome],
        deadline: Instant,
    ) -> Result<(), SinkError> {
        match self.begin(records.len()) {
            Behaviour::Deliver => self.deliver(records, outcomes),
            Behaviour::Fail(error) => return Err(error),
            Behaviour::FailSome(picks, error) => {
                self.deliver_or(records, outcomes, |record| {
                    picks(record).then_some(Outcome::Retryable)
                });
                if outcomes.contains(&Outcome::Retryable) {
                    return Err(error);
                }
            }
            Behaviour::Reject(picks, reason) => {
                self.deliver_or(records, outcomes, |record| {
                    picks(record).then_some(Outcome::Rejected(reason))
                });
            }
            Behaviour::Mark(mark, error) => {
                self.mark(records, outcomes, &*mark);
                if outcomes.contains(&Outcome::Retryable) {
                    return Err(error);
                }
            }
            Behaviour::Delay(time) => {
                let until = Instant::now() + time;
                if !self.wait(Some(until.min(deadline))) && until > deadline {
                    return Err(late());
                }
                self.deliver(records, outcomes);
            }
            Behaviour::Stall => {
                if !self.wait(Some(deadline)) {
                    return Err(late());
                }
                self.deliver(records, outcomes);
            }
            Behaviour::StallPastDeadline => {
                self.wait(None);
                self.deliver(records, outcomes);
            }
            Behaviour::Panic => panic!("scripted panic"),
        }
        Ok(())
    }

    /// Notes a call with `records` records, and returns its behaviour.
    fn begin(&self, records: usize) -> Behaviour {
        let mut behaviour = Behaviour::Deliver;
        self.sink.change(&self.topic, |topic| {
            topic.log.batches.push(records);
            behaviour = topic
                .next
                .pop_front()
                .unwrap_or_else(|| topic.standing.clone());
        });
        behaviour
    }

    fn deliver(&self, records: &[&Record], outcomes: &mut [Outcome]) {
        self.deliver_or(records, outcomes, |_| None);
    }

    /// Delivers the records for which `otherwise` returns no outcome.
    fn deliver_or(
        &self,
        records: &[&Record],
        outcomes: &mut [Outcome],
        otherwise: impl Fn(&Record) -> Option<Outcome>,
    ) {
        self.mark(records, outcomes, |record| {
            otherwise(record).unwrap_or(Outcome::Delivered)
        });
    }

    fn mark(
        &self,
        records: &[&Record],
        outcomes: &mut [Outcome],
        mark: impl Fn(&Record) -> Outcome,
    ) {
        self.sink.change(&self.topic, |topic| {
            for (record, outcome) in records.iter().zip(outcomes) {
                let limit = topic.limit.filter(|limit| record.data.len() > *limit);
                *outcome = limit.map_or_else(
                    || mark(record),
                    |limit| Outcome::Rejected(Reason::TooLarge { limit }),
                );
                if *outcome == Outcome::Delivered {
                    topic.log.delivered.push(Record::clone(record));
                }
            }
        });
    }

    /// Waits for a release, at most until `until`. Returns whether it came.
    fn wait(&self, until: Option<Instant>) -> bool {
        let shared = &*self.sink.shared;
        let mut state = shared.state.lock();
        let releases = state.topic(&self.topic).releases;
        state.topic(&self.topic).log.waiting += 1;
        shared.changed.notify_all();
        while state.topic(&self.topic).releases == releases {
            match until {
                None => shared.changed.wait(&mut state),
                Some(until) if Instant::now() >= until => break,
                Some(until) => drop(shared.changed.wait_until(&mut state, until)),
            }
        }
        let topic = state.topic(&self.topic);
        topic.log.waiting -= 1;
        let came = topic.releases != releases;
        shared.changed.notify_all();
        came
    }
}

impl Drop for ScriptedWriter {
    fn drop(&mut self) {
        self.sink
            .change(&self.topic, |topic| topic.log.writers -= 1);
    }
}

impl State {
    fn topic(&mut self, name: &str) -> &mut Topic {
        self.topics.entry(name.to_owned()).or_default()
    }
}

fn late() -> SinkError {
    SinkError::transient("the scripted sink did not answer before the deadline")
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} delivered, {} waiting, {} writers, batches of {:?}",
            self.delivered.len(),
            self.waiting,
            self.writers,
            self.batches
        )
    }
}
