//! A simulated backend: what it stores and when, and what it tells a writer and when, follow from
//! the plan.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use iem_sink::{
    DeliveryToken, Outcome, Reason, Sending, Settled, Sink, SinkError, TopicConfig, Writer,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

use super::clock::Clock;
use super::plan::{DEADLINE, Fault, Model, Plan};

/// The data of a record that is never taken.
pub(super) const BAD: &[u8] = b"bad";

/// A record in the backend: when it was stored, and in which order.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) at: Instant,
    pub(super) key: String,
    pub(super) data: Vec<u8>,
}

/// The backend; clones are handles of the same one.
#[derive(Clone)]
pub(super) struct Simulated {
    plan: Arc<Plan>,
    begin: Instant,
    state: Arc<Mutex<State>>,
}

/// The outcomes on their way to a writer, by their time.
type Coming = BTreeMap<(Instant, usize), (DeliveryToken, Outcome)>;

struct State {
    /// The outcomes on their way to each writer, with the clock of its worker.
    coming: Vec<(Clock, Weak<Mutex<Coming>>)>,
    /// The clock of the worker that runs.
    clock: Clock,
    stored: Vec<Stored>,
    /// The time of the last record that a unit stored, of those sent before the producer was replaced
    /// and of those sent after.
    last: HashMap<(usize, bool), Instant>,
    random: StdRng,
    has_panicked: bool,
}

impl Simulated {
    pub(super) fn new(plan: &Arc<Plan>, begin: Instant) -> Self {
        Self {
            plan: Arc::clone(plan),
            begin,
            state: Arc::new(Mutex::new(State {
                coming: Vec::new(),
                clock: Clock::new(begin),
                stored: Vec::new(),
                last: HashMap::new(),
                random: StdRng::seed_from_u64(!plan.seed),
                has_panicked: false,
            })),
        }
    }

    /// Sets the clock of the worker that runs next.
    pub(super) fn run_on(&self, clock: &Clock) {
        self.state.lock().clock = clock.clone();
    }

    /// Returns the time at which writers of the worker with this clock have something to tell.
    pub(super) fn told_at(&self, clock: &Clock) -> Option<Instant> {
        let mut state = self.state.lock();
        state.coming.retain(|(_, coming)| coming.strong_count() > 0);
        let of_clock = state.coming.iter().filter(|(of, _)| of.is(clock));
        of_clock
            .filter_map(|(_, coming)| coming.upgrade()?.lock().keys().next().map(|(at, _)| *at))
            .min()
    }

    /// Returns all that was stored, oldest first.
    pub(super) fn stored(&self) -> Vec<Stored> {
        let mut stored = self.state.lock().stored.clone();
        stored.sort_by_key(|stored| stored.at);
        stored
    }

    fn fault(&self, unit: usize, at: Instant) -> Option<Fault> {
        let is_disturbed = self.plan.is_disturbed(unit, at - self.begin);
        is_disturbed.then_some(self.plan.disturbance.fault)
    }

    fn fault_end(&self) -> Instant {
        self.begin + self.plan.disturbance.time.end
    }

    /// Returns the time of one round trip that begins at `at`. A slow one is over soon after the fault.
    fn round_trip(&self, unit: usize, at: Instant, random: &mut StdRng) -> Duration {
        let usual = self.plan.round_trip.mul_f64(random.random_range(0.7..1.5));
        match self.fault(unit, at) {
            Some(Fault::Slow(factor)) => {
                let left = self.fault_end().saturating_duration_since(at);
                (usual * factor).min(left + usual)
            }
            _ => usual,
        }
    }

    /// Returns whether the writer is to panic now.
    fn panics(&self, at: Instant, state: &mut State) -> bool {
        let panics = self.fault(0, at) == Some(Fault::Panic);
        panics && !std::mem::replace(&mut state.has_panicked, true)
    }
}

impl Sink for Simulated {
    fn writer(&self, _: &TopicConfig, _: Waker) -> Result<Box<dyn Writer>, SinkError> {
        let mut state = self.state.lock();
        let clock = state.clock.clone();
        let coming = Arc::new(Mutex::default());
        state.coming.push((clock.clone(), Arc::downgrade(&coming)));
        Ok(Box::new(SimulatedWriter {
            backend: self.clone(),
            clock,
            coming,
            sent: 0,
        }))
    }

    fn check(&self, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }

    fn close(self: Box<Self>, _: Instant) -> Result<(), SinkError> {
        Ok(())
    }
}

struct SimulatedWriter {
    backend: Simulated,
    clock: Clock,
    coming: Arc<Mutex<Coming>>,
    sent: usize,
}

impl Writer for SimulatedWriter {
    fn unit(&self, record: &iem_sink::Record) -> usize {
        record.key_hash() as usize % self.backend.plan.units
    }

    fn units(&self) -> usize {
        self.backend.plan.units
    }

    fn keeps_order(&self) -> bool {
        self.backend.plan.model != Model::Calls
    }

    fn time_needed(&self) -> Duration {
        match self.backend.plan.model {
            Model::Partitions => DEADLINE / 2,
            Model::Disk | Model::Calls => Duration::ZERO,
        }
    }

    fn epoch(&mut self) -> u64 {
        let begin = self.backend.begin + self.backend.plan.disturbance.time.start;
        let is_replaced = self.backend.plan.disturbance.fault == Fault::Replace;
        u64::from(is_replaced && self.clock.now() >= begin)
    }

    fn send(&mut self, records: &[Sending<'_>], deadline: Instant, settled: &mut Settled) {
        let backend = self.backend.clone();
        let mut state = backend.state.lock();
        let now = self.clock.now();
        assert!(!backend.panics(now, &mut state), "as planned");
        match backend.plan.model {
            Model::Disk => self.write(records, &mut state, settled),
            Model::Partitions => self.produce(records, &mut state),
            Model::Calls => self.call(records, deadline, &mut state),
        }
    }

    fn settle(&mut self, settled: &mut Settled) {
        let now = self.clock.now();
        let mut coming = self.coming.lock();
        while let Some(entry) = coming.first_entry()
            && entry.key().0 <= now
        {
            let (token, outcome) = entry.remove();
            settled.tell(token, outcome);
            if outcome == Outcome::Retryable {
                settled.fault(SinkError::transient("as planned"));
            }
        }
    }

    fn obstacle(&self, _: Instant) -> Option<SinkError> {
        None
    }
}

impl SimulatedWriter {
    fn come(&mut self, at: Instant, token: DeliveryToken, outcome: Outcome) {
        self.sent += 1;
        self.coming.lock().insert((at, self.sent), (token, outcome));
    }

    /// Writes and syncs as a disk does: the worker's time goes on meanwhile.
    fn write(&mut self, records: &[Sending<'_>], state: &mut State, settled: &mut Settled) {
        let backend = self.backend.clone();
        let now = self.clock.now();
        let tokens = records.iter().map(|one| one.token);
        match backend.fault(0, now) {
            Some(Fault::Fail) => {
                return settled.failed(tokens, SinkError::transient("as planned"));
            }
            Some(Fault::Stop) => self.clock.set(backend.fault_end()),
            _ => {}
        }
        let time = backend.round_trip(0, now, &mut state.random);
        self.clock.set(self.clock.now() + time);
        let at = self.clock.now();
        for one in records {
            if is_bad(one) {
                settled.rejected(one.token, Reason::Schema);
            } else {
                state.store(one, at);
                settled.delivered(one.token);
            }
        }
    }

    /// Produces as Kafka's client does: a unit keeps its order, and a record that cannot be sent is
    /// reported when its time is over.
    fn produce(&mut self, records: &[Sending<'_>], state: &mut State) {
        let backend = self.backend.clone();
        let now = self.clock.now();
        let expiry = now + DEADLINE;
        let replaced_at = backend.begin + backend.plan.disturbance.time.start;
        let is_old = backend.plan.disturbance.fault == Fault::Replace && now < replaced_at;
        for one in records {
            if is_bad(one) {
                self.come(now, one.token, Outcome::Rejected(Reason::Schema));
                continue;
            }
            let unit = self.unit(one.record);
            if backend.fault(unit, now) == Some(Fault::Fail) && state.random.random_bool(0.5) {
                let time = backend.round_trip(unit, now, &mut state.random);
                self.come(now + time, one.token, Outcome::Retryable);
                continue;
            }
            let time = backend.round_trip(unit, now, &mut state.random);
            let after = state.last.get(&(unit, is_old)).copied().unwrap_or(now);
            let mut at = (now + time / 2).max(after);
            if backend.fault(unit, now) == Some(Fault::Stop)
                || backend.fault(unit, at) == Some(Fault::Stop)
            {
                at = (backend.fault_end() + time).max(after);
            }
            let mut told = at + time / 2;
            if backend.fault(unit, told) == Some(Fault::Stop) {
                told = backend.fault_end() + time;
            }
            // The old producer drops what it has not sent yet. What is on its way arrives in the end.
            if is_old && at > replaced_at {
                if state.random.random_bool(0.5) {
                    self.come(replaced_at + time, one.token, Outcome::Retryable);
                    continue;
                }
                at += DEADLINE.mul_f64(state.random.random_range(0.0..0.5));
                told = at + time / 2;
            }
            if at > expiry {
                self.come(expiry, one.token, Outcome::Retryable);
                continue;
            }
            state.last.insert((unit, is_old), at);
            state.store(one, at);
            let outcome = if told > expiry {
                Outcome::Retryable
            } else {
                Outcome::Delivered
            };
            self.come(told.min(expiry), one.token, outcome);
        }
    }

    /// Calls as Pub/Sub's client does: all records of a call share its fate.
    fn call(&mut self, records: &[Sending<'_>], deadline: Instant, state: &mut State) {
        let backend = self.backend.clone();
        let now = self.clock.now();
        let time = backend.round_trip(0, now, &mut state.random);
        let mut at = now + time;
        let mut outcome = Outcome::Delivered;
        match backend.fault(0, now).or(backend.fault(0, at)) {
            Some(Fault::Fail) => outcome = Outcome::Retryable,
            Some(Fault::Stop) => at = backend.fault_end() + time,
            _ => {}
        }
        if at > deadline {
            at = deadline;
            outcome = Outcome::Retryable;
        }
        for one in records {
            if outcome == Outcome::Delivered && is_bad(one) {
                self.come(at, one.token, Outcome::Rejected(Reason::Schema));
                continue;
            }
            if outcome == Outcome::Delivered {
                state.store(one, at.checked_sub(time / 2).unwrap_or(at));
            }
            self.come(at, one.token, outcome);
        }
    }
}

impl State {
    fn store(&mut self, one: &Sending<'_>, at: Instant) {
        self.stored.push(Stored {
            at,
            key: one.record.key.to_string(),
            data: one.record.data.to_vec(),
        });
    }
}

fn is_bad(one: &Sending<'_>) -> bool {
    one.record.data.starts_with(BAD)
}
