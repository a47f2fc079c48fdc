//! One run: requests arrive at a constant rate, whether they are answered or not, and the workers
//! step whenever something happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::Outcome;
use iem_sink::testing::record;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use tokio::sync::oneshot::error::TryRecvError;

use super::backend::{BAD, Simulated, Stored};
use super::clock::Clock;
use super::plan::{DEADLINE, LARGE, Model, Plan};
use crate::config::{Durability, SinkKind, Topic};
use crate::pipeline::backend::{Backend, Observer, Unobserved};
use crate::pipeline::books::Books;
use crate::pipeline::budget::Budget;
use crate::pipeline::queue::Queue;
use crate::pipeline::receipt::{GRACE, Part};
use crate::pipeline::records::Records;
use crate::pipeline::submission::Wanted;
use crate::pipeline::worker::{Next, Reports, Surroundings, Worker};
use crate::shares::Claims;

/// Ordering keys of each unit.
const KEYS: usize = 3;
/// How long the run goes on after the last request, so that all that was sent comes back.
const DRAIN: Duration = Duration::from_secs(15);

/// A request and its end.
pub(super) struct Request {
    pub(super) at: Instant,
    /// The unit of its records; `None` if they are for several.
    pub(super) unit: Option<usize>,
    pub(super) is_bad: bool,
    pub(super) data: Vec<Vec<u8>>,
    pub(super) outcomes: Vec<Outcome>,
    /// The last outcomes, of which some came after the answer. Empty if the request was refused.
    pub(super) last: Vec<Outcome>,
    pub(super) answered: Instant,
    /// The answer came from no worker, but from the end of the client's wait.
    pub(super) is_unanswered: bool,
}

/// The remains of a run.
pub(super) struct Run {
    pub(super) begin: Instant,
    pub(super) requests: Vec<Request>,
    pub(super) stored: Vec<Stored>,
    pub(super) budget: Arc<Budget>,
}

/// A worker, and the time until which it is busy.
struct Hand {
    worker: Worker,
    clock: Clock,
    wakes_at: Option<Instant>,
}

/// A request without an answer: its index, and the shares of which no outcomes, or not the last
/// ones, have come.
struct Waiting {
    index: usize,
    unanswered: Vec<Part>,
    open: Vec<Part>,
}

struct World {
    plan: Arc<Plan>,
    begin: Instant,
    backend: Simulated,
    queue: Queue,
    hands: Vec<Hand>,
    keys: Vec<Vec<String>>,
    random: StdRng,
    numbers: usize,
    waiting: Vec<Waiting>,
    /// The requests that have been answered while records were open.
    late: Vec<(usize, Vec<Part>)>,
    books: Arc<Books>,
    /// The records that had ended at the last look, so that not every step looks at all receipts.
    ended: u64,
    requests: Vec<Request>,
}

/// Runs a plan to its end.
pub(super) fn run(plan: &Arc<Plan>) -> Run {
    let begin = Instant::now();
    let mut world = World::new(plan, begin);
    let gap = Duration::from_secs_f64(1.0 / plan.rate);
    let mut next = begin;
    let end = begin + plan.end;
    while next < end {
        world.pass_until(next);
        world.arrive(next);
        next += gap.mul_f64(world.random.random_range(0.5..1.5));
    }
    world.pass_until(end + DRAIN);
    assert!(world.waiting.is_empty(), "each request is answered");
    assert!(world.late.is_empty(), "each one is told its last outcomes");
    Run {
        begin,
        budget: world.queue.budget(),
        stored: world.backend.stored(),
        requests: world.requests,
    }
}

impl World {
    fn new(plan: &Arc<Plan>, begin: Instant) -> Self {
        let topic = topic(plan);
        let simulated = Simulated::new(plan, begin);
        let backend = Arc::new(Backend {
            name: "simulated",
            sink: Box::new(simulated.clone()),
        });
        let books = Arc::new(Books::new(None));
        let observer: Arc<dyn Observer> = Arc::new(Unobserved);
        let reports = Reports::new("events", &topic, &backend, &observer, &books);
        let (queue, receivers) = Queue::new(&topic, topic.workers, &books);
        let hand = |(index, receiver)| {
            let clock = Clock::new(begin);
            let hand = clock.clone();
            let mut random = StdRng::seed_from_u64(plan.seed + index as u64);
            let surroundings = Surroundings {
                now: Box::new(move || hand.now()),
                jitter: Box::new(move || random.random_range(0.0..1.0)),
            };
            let worker = Worker::new(
                index,
                &topic,
                receiver,
                &backend,
                reports.clone(),
                surroundings,
            );
            Hand {
                worker,
                clock,
                wakes_at: Some(begin),
            }
        };
        Self {
            plan: Arc::clone(plan),
            begin,
            hands: receivers.into_iter().enumerate().map(hand).collect(),
            backend: simulated,
            queue,
            keys: keys(plan.units),
            random: StdRng::seed_from_u64(plan.seed ^ 0xFACE),
            numbers: 0,
            waiting: Vec::new(),
            late: Vec::new(),
            books,
            ended: 0,
            requests: Vec::new(),
        }
    }

    /// Lets the time pass until `end`.
    fn pass_until(&mut self, end: Instant) {
        loop {
            let wakes = self.hands.iter().map(Hand::acts_at);
            let (index, at) = wakes
                .enumerate()
                .min_by_key(|(_, at)| *at)
                .expect("a worker");
            let late = self.first_late();
            if at.min(late) > end {
                return;
            }
            if late < at {
                self.collect(late);
                continue;
            }
            let hand = &mut self.hands[index];
            hand.clock.set(at);
            self.backend.run_on(&hand.clock);
            hand.wakes_at = match hand.worker.step() {
                Next::Step => Some(hand.clock.now()),
                Next::Wait(until) => {
                    let told = self.backend.told_at(&hand.clock);
                    [until, told].into_iter().flatten().min()
                }
                Next::End => None,
            };
            let now = hand.clock.now();
            let balance = self.books.balance(None);
            assert_eq!(balance.unaccounted(), 0, "{balance:?}");
            let ended = balance.accepted - balance.in_flight;
            if std::mem::replace(&mut self.ended, ended) < ended {
                self.collect(now);
            }
        }
    }

    /// Submits the next request.
    fn arrive(&mut self, now: Instant) {
        let (unit, records) = self.draw();
        let mut request = Request {
            at: now,
            unit,
            is_bad: records.iter().any(|record| record.data.starts_with(BAD)),
            data: records.iter().map(|record| record.data.to_vec()).collect(),
            outcomes: vec![Outcome::Retryable; records.len()],
            last: Vec::new(),
            answered: now,
            is_unanswered: false,
        };
        let wanted = Wanted::delivered(true);
        match self
            .queue
            .submit(records, 0, Claims::default(), &wanted, now)
        {
            Ok(receipt) => {
                self.waiting.push(Waiting {
                    index: self.requests.len(),
                    unanswered: receipt.wake().into_parts(),
                    open: Vec::new(),
                });
                request.answered = now + DEADLINE + GRACE;
            }
            Err(_) => request.outcomes = Vec::new(),
        }
        self.requests.push(request);
        for hand in &mut self.hands {
            hand.wakes_at = Some(hand.wakes_at.map_or(now, |at| at.min(now)));
        }
    }

    fn draw(&mut self) -> (Option<usize>, Records) {
        let chance = self.random.random_range(0..100);
        if chance < self.plan.large {
            let records = (0..LARGE as usize).map(|index| {
                let of_unit = &self.keys[index % self.plan.units];
                self.numbers += 1;
                record(&of_unit[index % KEYS], format!("{:08}", self.numbers))
            });
            return (None, records.collect());
        }
        let unit = self.random.random_range(0..self.plan.units);
        let key = &self.keys[unit][self.random.random_range(0..KEYS)];
        self.numbers += 1;
        let bad = if chance < self.plan.large + self.plan.rejected {
            String::from_utf8_lossy(BAD)
        } else {
            "".into()
        };
        let one = record(key, format!("{bad}{:08}", self.numbers));
        (Some(unit), std::iter::once(one).collect())
    }

    /// Returns the time at which the next request is answered without its worker.
    fn first_late(&self) -> Instant {
        let first = self.waiting.first();
        first.map_or(self.begin + Duration::from_hours(1), |waiting| {
            self.requests[waiting.index].answered
        })
    }

    /// Takes the answers that have come at `now`.
    fn collect(&mut self, now: Instant) {
        let requests = &mut self.requests;
        let late = &mut self.late;
        self.waiting.retain_mut(|waiting| {
            let request = &mut requests[waiting.index];
            let is_late = request.answered <= now;
            for mut part in std::mem::take(&mut waiting.unanswered) {
                match part.reply.try_recv() {
                    Ok(share) => {
                        if part.merge_into(share, &mut request.outcomes) {
                            waiting.open.push(part);
                        }
                    }
                    Err(TryRecvError::Empty) => waiting.unanswered.push(part),
                    Err(TryRecvError::Closed) => {}
                }
            }
            if !waiting.unanswered.is_empty() && !is_late {
                return true;
            }
            request.is_unanswered = !waiting.unanswered.is_empty();
            request.answered = request.answered.min(now);
            request.last.clone_from(&request.outcomes);
            let mut open = std::mem::take(&mut waiting.open);
            open.append(&mut waiting.unanswered);
            late.push((waiting.index, open));
            false
        });
        late.retain_mut(|(index, parts)| {
            let last = &mut requests[*index].last;
            parts.retain_mut(|part| {
                loop {
                    match part.reply.try_recv() {
                        Ok(share) => {
                            if !part.merge_into(share, last) {
                                return false;
                            }
                        }
                        Err(TryRecvError::Closed) => return false,
                        Err(TryRecvError::Empty) => return true,
                    }
                }
            });
            !parts.is_empty()
        });
    }
}

impl Hand {
    /// Returns the time at which the worker acts next.
    fn acts_at(&self) -> Instant {
        let far = self.clock.now() + Duration::from_hours(1);
        self.wakes_at.unwrap_or(far).max(self.clock.now())
    }
}

fn topic(plan: &Plan) -> Topic {
    Topic {
        name: "events".to_owned(),
        sink: SinkKind::File,
        key: Vec::new(),
        queue_records: plan.queue_records,
        queue_bytes: 1 << 20,
        batch_records: plan.batch_records,
        batch_bytes: 1 << 18,
        linger: Duration::ZERO,
        deadline: DEADLINE,
        workers: plan.workers,
        ordering: plan.model != Model::Calls,
        durability: Durability::Delivered,
        dead_letter: false,
    }
}

/// Returns ordering keys for each unit.
fn keys(units: usize) -> Vec<Vec<String>> {
    let mut keys = vec![Vec::new(); units];
    for number in 0.. {
        let key = format!("acme/{number}");
        let of_unit = &mut keys[record(&key, "").key_hash() as usize % units];
        if of_unit.len() < KEYS {
            of_unit.push(key);
        }
        if keys.iter().all(|of_unit| of_unit.len() == KEYS) {
            break;
        }
    }
    keys
}
