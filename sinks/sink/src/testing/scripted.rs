//! A sink whose behaviour a test sets for each topic while it runs, and which keeps what it
//! delivered.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Outcome, Reason, Record, Sink, SinkError, TopicConfig, Writer};

/// How long [`ScriptedSink::wait_for`] waits before it fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a scripted topic does with a call of [`Writer::write`].
#[derive(Clone, Default)]
pub enum Behaviour {
    /// Delivers every record.
    #[default]
    Deliver,
    /// Leaves every record retryable, with this error.
    Fail(SinkError),
    /// Leaves the records that the predicate picks retryable, with this error, and delivers the
    /// others. To stay within the contract, pick by key.
    FailSome(Predicate, SinkError),
    /// Rejects the records that the predicate picks, and delivers the others.
    Reject(Predicate, Reason),
    /// Marks each record as the function says. With this error, where that leaves one retryable. To
    /// stay within the contract, leave by key.
    Mark(Arc<dyn Fn(&Record) -> Outcome + Send + Sync>, SinkError),
    /// Delivers after this time, or when released. Where the deadline comes first, leaves every
    /// record retryable then.
    Delay(Duration),
    /// Waits until it is released, and then delivers. Where the deadline comes first, leaves every
    /// record retryable then.
    Stall,
    /// Waits until it is released, however late, and then delivers: a sink that breaks the
    /// contract.
    StallPastDeadline,
    /// Panics.
    Panic,
}

/// Picks records.
pub type Predicate = Arc<dyn Fn(&Record) -> bool + Send + Sync>;

/// What a scripted topic has seen so far.
#[derive(Clone, Default)]
pub struct Log {
    /// The delivered records, in order.
    pub delivered: Vec<Record>,
    /// For each call of [`Writer::write`], in the order of their begin, how many records it was
    /// given.
    pub batches: Vec<usize>,
    /// How many calls are waiting now, in [`Behaviour::Delay`] or one of the stalls.
    pub waiting: usize,
    /// How many writers of the topic are open now.
    pub writers: usize,
}

/// A sink that does as a test says. Clones are handles of the same sink, so a test keeps one and
/// gives one away; a closed sink is opened again by using another handle.
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
    /// Behaviours for one call each, which come before the standing one.
    next: VecDeque<Behaviour>,
    standing: Behaviour,
    refused: Option<SinkError>,
    releases: usize,
    log: Log,
}

impl ScriptedSink {
    /// A sink that delivers everything, until it is told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the next call on, `topic` behaves like this. Calls that wait are released.
    pub fn set(&self, topic: &str, behaviour: Behaviour) {
        self.change(topic, |topic| {
            topic.next.clear();
            topic.standing = behaviour;
            topic.releases += 1;
        });
    }

    /// The next call that is not yet spoken for behaves like this; those after it as before.
    pub fn once(&self, topic: &str, behaviour: Behaviour) {
        self.change(topic, |topic| topic.next.push_back(behaviour));
    }

    /// Lets the calls that wait at `topic` go on. Later calls wait again, where that is the topic's
    /// behaviour.
    pub fn release(&self, topic: &str) {
        self.change(topic, |topic| topic.releases += 1);
    }

    /// Makes [`Sink::writer`] fail for `topic`; with `None`, succeed again.
    pub fn refuse(&self, topic: &str, error: Option<SinkError>) {
        self.change(topic, |topic| topic.refused = error);
    }

    /// Makes [`Sink::check`] fail; with `None`, succeed again.
    pub fn set_check(&self, error: Option<SinkError>) {
        self.shared.lock().check = error;
    }

    /// What `topic` has seen so far.
    pub fn log(&self, topic: &str) -> Log {
        self.shared.lock().topic(topic).log.clone()
    }

    /// How often the sink was closed.
    pub fn closed(&self) -> usize {
        self.shared.lock().closed
    }

    /// Blocks until `condition` holds for what `topic` has seen, and gives it back. Fails the test
    /// after 20 s.
    pub fn wait_for(&self, topic: &str, condition: impl Fn(&Log) -> bool) -> Log {
        let state = self.shared.lock();
        let (mut state, result) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !condition(&state.topic(topic).log))
            .unwrap_or_else(PoisonError::into_inner);
        let log = state.topic(topic).log.clone();
        drop(state);
        assert!(
            !result.timed_out(),
            "topic {topic} did not come to it within {PATIENCE:?}: {log:?}"
        );
        log
    }

    fn change(&self, topic: &str, change: impl FnOnce(&mut Topic)) {
        change(self.shared.lock().topic(topic));
        self.shared.changed.notify_all();
    }
}

impl Sink for ScriptedSink {
    fn writer(&self, topic: &TopicConfig) -> Result<Box<dyn Writer>, SinkError> {
        let refused = self.shared.lock().topic(&topic.name).refused.clone();
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
        self.shared.lock().check.clone().map_or(Ok(()), Err)
    }

    fn close(self: Box<Self>, _deadline: Instant) -> Result<(), SinkError> {
        self.shared.lock().closed += 1;
        self.shared.changed.notify_all();
        Ok(())
    }
}

struct ScriptedWriter {
    sink: ScriptedSink,
    topic: String,
}

impl Writer for ScriptedWriter {
    fn write(
        &mut self,
        records: &[Record],
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
}

impl ScriptedWriter {
    /// Notes a call of `records` records and says how it goes on.
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

    fn deliver(&self, records: &[Record], outcomes: &mut [Outcome]) {
        self.deliver_or(records, outcomes, |_| None);
    }

    /// Delivers the records for which `otherwise` knows no other outcome.
    fn deliver_or(
        &self,
        records: &[Record],
        outcomes: &mut [Outcome],
        otherwise: impl Fn(&Record) -> Option<Outcome>,
    ) {
        self.mark(records, outcomes, |record| {
            otherwise(record).unwrap_or(Outcome::Delivered)
        });
    }

    fn mark(
        &self,
        records: &[Record],
        outcomes: &mut [Outcome],
        mark: impl Fn(&Record) -> Outcome,
    ) {
        self.sink.change(&self.topic, |topic| {
            for (record, outcome) in records.iter().zip(outcomes) {
                *outcome = mark(record);
                if *outcome == Outcome::Delivered {
                    topic.log.delivered.push(record.clone());
                }
            }
        });
    }

    /// Waits for a release, at most until `until`, and says whether it came.
    fn wait(&self, until: Option<Instant>) -> bool {
        let shared = &*self.sink.shared;
        let mut state = shared.lock();
        let releases = state.topic(&self.topic).releases;
        state.topic(&self.topic).log.waiting += 1;
        shared.changed.notify_all();
        while state.topic(&self.topic).releases == releases {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => shared
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    shared
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Outcome::{Delivered, Rejected, Retryable};
    use crate::testing::{record, topic};

    fn write(
        writer: &mut dyn Writer,
        records: &[Record],
        deadline: Duration,
    ) -> (Vec<Outcome>, bool) {
        let mut outcomes = vec![Outcome::default(); records.len()];
        let result = writer.write(records, &mut outcomes, Instant::now() + deadline);
        (outcomes, result.is_ok())
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn does_each_behaviour_once_and_then_the_standing_one() {
        let sink = ScriptedSink::new();
        let mut writer = sink.writer(&topic("t")).unwrap();
        let records = [record("a", "{}"), record("b", "{}")];
        let picks: Predicate = Arc::new(|record| &*record.key == "b");
        let error = SinkError::permanent("no");
        let reason = Reason::TooLarge { limit: 1 };
        sink.once("t", Behaviour::Fail(error.clone()));
        sink.once("t", Behaviour::FailSome(picks.clone(), error));
        sink.once("t", Behaviour::Reject(picks, reason));
        sink.once(
            "t",
            Behaviour::Mark(
                Arc::new(|record| match &*record.key {
                    "a" => Delivered,
                    _ => Retryable,
                }),
                SinkError::transient("later"),
            ),
        );
        sink.once("t", Behaviour::Delay(Duration::ZERO));

        let expected = [
            ([Retryable, Retryable], false),
            ([Delivered, Retryable], false),
            ([Delivered, Rejected(reason)], true),
            ([Delivered, Retryable], false),
            ([Delivered, Delivered], true),
            ([Delivered, Delivered], true),
        ];
        for (outcomes, fine) in expected {
            assert_eq!(
                write(&mut *writer, &records, LONG),
                (outcomes.to_vec(), fine)
            );
        }
        assert_eq!(
            format!("{:?}", sink.log("t")),
            "7 delivered, 0 waiting, 1 writers, batches of [2, 2, 2, 2, 2, 2]"
        );
        drop(writer);
        assert_eq!(sink.log("t").writers, 0);
    }

    #[test]
    fn a_stall_ends_with_the_deadline_or_with_a_release() {
        let sink = ScriptedSink::new();
        let mut writer = sink.writer(&topic("t")).unwrap();
        let records = [record("a", "{}")];
        sink.set("t", Behaviour::Stall);
        assert_eq!(
            write(&mut *writer, &records, Duration::ZERO),
            (vec![Outcome::Retryable], false)
        );
        assert_eq!(sink.log("t").waiting, 0);

        let call = std::thread::spawn(move || write(&mut *writer, &records, LONG));
        assert_eq!(
            sink.wait_for("t", |log| log.waiting == 1).delivered.len(),
            0
        );
        sink.release("t");
        assert_eq!(call.join().unwrap(), (vec![Outcome::Delivered], true));
    }

    #[test]
    fn a_stall_past_the_deadline_delivers_late() {
        let sink = ScriptedSink::new();
        let mut writer = sink.writer(&topic("t")).unwrap();
        sink.set("t", Behaviour::StallPastDeadline);
        let call =
            std::thread::spawn(move || write(&mut *writer, &[record("a", "{}")], Duration::ZERO));
        sink.wait_for("t", |log| log.waiting == 1);
        sink.set("t", Behaviour::Deliver);
        assert_eq!(call.join().unwrap(), (vec![Outcome::Delivered], true));
    }

    #[test]
    fn a_panic_leaves_the_other_handles_working() {
        let sink = ScriptedSink::new();
        let mut writer = sink.writer(&topic("t")).unwrap();
        sink.once("t", Behaviour::Panic);
        let call = std::thread::spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                write(&mut *writer, &[record("a", "{}")], LONG)
            }));
            (
                result.is_err(),
                write(&mut *writer, &[record("a", "{}")], LONG).1,
            )
        });
        assert_eq!(call.join().unwrap(), (true, true));
        assert_eq!(sink.log("t").delivered.len(), 1);
    }

    #[test]
    fn refuses_topics_and_checks_as_told() {
        let sink = ScriptedSink::new();
        let error = SinkError::permanent("topic t is missing");
        sink.refuse("t", Some(error.clone()));
        assert_eq!(sink.writer(&topic("t")).err(), Some(error.clone()));
        assert_eq!(sink.log("t").writers, 0);
        sink.refuse("t", None);
        assert!(sink.writer(&topic("t")).is_ok());

        sink.set_check(Some(error.clone()));
        assert_eq!(sink.check(Instant::now()), Err(error));
        sink.set_check(None);
        assert_eq!(sink.check(Instant::now()), Ok(()));
        Box::new(sink.clone()).close(Instant::now()).unwrap();
        assert_eq!(sink.closed(), 1);
    }
}
