//! Records that come from files, on their way to a sink: no request waits for them, and none is
//! given up. The outcome of each is told once, and is either a delivery or a rejection for good.
//!
//! The records of a topic reach its workers in the order in which they are sent. One that comes back
//! undelivered is sent again once all others have been settled or have come back, too: until then
//! nothing more is sent, so no later record of its key overtakes it. What is on its way is bounded as
//! what is on its way from a journal.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use iem_sink::{Outcome, Record, SinkError, SinkErrorKind};

use super::backend::{Backend, Unobserved};
use super::books::Books;
use super::forwarded::{Event, Forwarded};
use super::journaled::{Rate, forwarded};
use super::queue::Queue;
use super::worker::Reports;
use super::workers::Workers;
use crate::config::{self, Topic};

/// The wait before records are sent again.
const SEND_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// The way of records to the topics of a sink.
pub struct Feed {
    records_max: usize,
    bytes_max: usize,
    rate: Rate,
    routes: Vec<Route>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// Workers count here what they have met; nothing waits for that.
    met: Arc<AtomicU64>,
    sent: u64,
    /// The number of the round in which records are sent, from 1: a worker that has refused one
    /// refuses all others of its unit until the next round.
    round: u64,
    on_their_way: BTreeMap<u64, OnItsWay>,
    bytes: usize,
    /// The records that have come back.
    returned: BTreeMap<u64, OnItsWay>,
    send_again_at: Instant,
}

/// The way to one topic.
struct Route {
    queue: Queue,
    workers: Workers,
}

struct OnItsWay {
    route: usize,
    record: Record,
}

impl Feed {
    /// `config` bounds what is on its way, and `rate` the records that are sent in a second.
    pub fn new(config: &config::Journal, rate: Option<NonZeroU32>) -> Self {
        let (sender, events) = crossbeam_channel::unbounded();
        let now = Instant::now();
        Self {
            records_max: config.window_records,
            bytes_max: config.window_bytes,
            rate: Rate::new(rate.map(NonZeroU32::get), now),
            routes: Vec::new(),
            sender,
            events,
            met: Arc::default(),
            sent: 0,
            round: 1,
            on_their_way: BTreeMap::new(),
            bytes: 0,
            returned: BTreeMap::new(),
            send_again_at: now,
        }
    }

    /// Starts the workers of a topic, which open it at its sink. Returns the number of the route to
    /// it. `name` is the topic's name in logs.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn open(
        &mut self,
        name: &'static str,
        topic: &Topic,
        config: &config::Journal,
        backend: &Arc<Backend>,
    ) -> io::Result<usize> {
        let topic = forwarded(topic, config);
        let books = Arc::new(Books::new(None));
        let (queue, receivers) = Queue::new(&topic, topic.workers, &books);
        let observer = Arc::new(Unobserved) as _;
        let reports = Reports::new(name, &topic, backend, &observer, &books);
        let workers = Workers::start(&topic, receivers, backend, reports)?;
        self.routes.push(Route { queue, workers });
        Ok(self.routes.len() - 1)
    }

    /// Returns the time at which a record of so many bytes may be sent on a route; `None` if that
    /// depends on what is on its way.
    pub fn ready_at(&self, route: usize, bytes: usize, now: Instant) -> Option<Instant> {
        let records = self.on_their_way.len();
        let has_room = records == 0
            || records < self.records_max
                && self.bytes + bytes <= self.bytes_max
                && self.routes[route].queue.has_room(bytes);
        (has_room && self.returned.is_empty()).then(|| self.rate.next(now).unwrap_or(now))
    }

    /// Sends a record for which it [is time](Self::ready_at). Returns the number under which its
    /// outcome is told, one more than that of the record before it.
    pub fn send(&mut self, route: usize, record: Record, now: Instant) -> u64 {
        self.rate.take(now);
        let number = self.sent;
        self.sent += 1;
        self.forward(number, OnItsWay { route, record }, now);
        number
    }

    fn forward(&mut self, number: u64, one: OnItsWay, now: Instant) {
        let way = Forwarded::new(number, self.sender.clone(), Arc::clone(&self.met));
        let queue = &self.routes[one.route].queue;
        queue.forward(one.record.clone(), self.round, way, None, now);
        self.bytes += one.record.data.len();
        self.on_their_way.insert(number, one);
    }

    /// Waits for the outcome of a record, at most until `until`. It is `Delivered` or `Rejected`.
    pub fn settled(&mut self, until: Instant) -> Option<(u64, Outcome)> {
        self.send_again(Instant::now());
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            let Event::Settled(number, outcome) = self.events.recv_timeout(wait).ok()? else {
                continue;
            };
            let Some(one) = self.on_their_way.remove(&number) else {
                continue;
            };
            self.bytes -= one.record.data.len();
            match outcome {
                Outcome::Delivered | Outcome::Rejected(_) => return Some((number, outcome)),
                Outcome::Retryable | Outcome::Undeliverable => {
                    self.returned.insert(number, one);
                    self.send_again_at = Instant::now() + SEND_AGAIN_AFTER;
                }
            }
        }
    }

    /// Sends what has come back, in order, once nothing else is on its way.
    fn send_again(&mut self, now: Instant) {
        if self.on_their_way.is_empty() && now >= self.send_again_at {
            self.round += 1;
            for (number, one) in std::mem::take(&mut self.returned) {
                self.forward(number, one, now);
            }
        }
    }

    /// Returns why a topic's records are not delivered at present.
    pub fn trouble(&self, now: Instant) -> Option<String> {
        let mut healths = self.routes.iter().map(|route| &route.workers.health);
        healths.find_map(|health| health.down(now))
    }

    /// Returns the sink's error if it will not open a topic until an operator changes something.
    pub fn refusal(&self) -> Option<SinkError> {
        let results = self.routes.iter();
        let mut results = results.flat_map(|route| route.workers.opened.try_iter());
        results.find_map(|result| {
            let error = result.err()?;
            (error.kind == SinkErrorKind::Permanent).then_some(error)
        })
    }

    /// Ends the workers. What is not settled may be delivered or not. Returns whether all have ended
    /// by `deadline`.
    pub fn close(self, deadline: Instant) -> bool {
        let routes = self.routes.into_iter();
        let workers: Vec<_> = routes.map(|route| route.workers).collect();
        let mut workers = workers.iter();
        workers.all(|workers| workers.have_ended(deadline))
    }
}

#[cfg(test)]
mod tests {
    use iem_sink::Reason;
    use iem_sink::testing::{ScriptedSink, record};
    use smallvec::smallvec;

    use super::*;
    use crate::config::Config;
    use crate::pipeline::channel;
    use crate::pipeline::submission::Submission;

    /// A feed whose one worker is the test.
    struct Rig {
        feed: Feed,
        worker: channel::Receiver,
    }

    fn rig(window_records: usize) -> Rig {
        let mut config = Config::default();
        config.journal.window_records = window_records;
        let mut feed = Feed::new(&config.journal, None);
        let topic = &config.topics[0];
        let books = Arc::new(Books::new(None));
        let (queue, mut receivers) = Queue::new(topic, 1, &books);
        let backend = Arc::new(Backend {
            name: "scripted",
            sink: Box::new(ScriptedSink::new()),
        });
        let observer = Arc::new(Unobserved) as _;
        let none = Vec::new();
        let reports = Reports::new("events", topic, &backend, &observer, &books);
        let workers = Workers::start(topic, none, &backend, reports);
        feed.routes.push(Route {
            queue,
            workers: workers.expect("no threads are wanted"),
        });
        Rig {
            feed,
            worker: receivers.pop().expect("one was asked for"),
        }
    }

    impl Rig {
        fn is_ready(&self) -> bool {
            let now = Instant::now();
            self.feed.ready_at(0, 2, now) == Some(now)
        }

        fn send(&mut self, key: &str) -> u64 {
            self.feed.send(0, record(key, "{}"), Instant::now())
        }

        /// Returns what has reached the worker.
        fn taken(&mut self) -> Vec<Submission> {
            let mut taken = Vec::new();
            self.worker.take(|submission| taken.push(submission));
            taken
        }

        /// Waits for an outcome for a short time.
        fn settled(&mut self) -> Option<(u64, Outcome)> {
            self.feed.settled(Instant::now() + 2 * SEND_AGAIN_AFTER)
        }
    }

    fn end(submission: Submission, outcome: Outcome) {
        submission.reply.end(smallvec![outcome]);
    }

    fn keys(submissions: &[Submission]) -> Vec<&str> {
        submissions.iter().map(|one| &*one.records[0].key).collect()
    }

    #[test]
    fn what_comes_back_is_sent_again_in_order_before_anything_else() {
        let mut rig = rig(100);
        let numbers: Vec<_> = ["a", "b", "c"].map(|key| rig.send(key)).into();
        let mut taken = rig.taken().into_iter();
        let (first, second, third) = (taken.next(), taken.next(), taken.next());
        end(third.expect("c"), Outcome::Retryable);
        assert_eq!(rig.settled(), None);
        assert!(!rig.is_ready(), "a later record could overtake");
        assert!(rig.taken().is_empty(), "two are still on their way");
        end(first.expect("a"), Outcome::Undeliverable);
        end(second.expect("b"), Outcome::Delivered);
        assert_eq!(rig.settled(), Some((numbers[1], Outcome::Delivered)));
        assert_eq!(rig.settled(), None);
        assert_eq!(rig.settled(), None);
        let again = rig.taken();
        assert_eq!(keys(&again), ["a", "c"]);
        assert!(again.iter().all(|one| one.round == 2), "a new round");
        let rejected = Outcome::Rejected(Reason::Schema);
        for (submission, outcome) in again.into_iter().zip([Outcome::Delivered, rejected]) {
            end(submission, outcome);
        }
        assert_eq!(rig.settled(), Some((numbers[0], Outcome::Delivered)));
        assert_eq!(rig.settled(), Some((numbers[2], rejected)));
        assert!(rig.is_ready());
    }

    #[test]
    fn what_is_on_its_way_is_bounded_and_a_worker_that_drops_a_record_has_not_delivered_it() {
        let mut rig = rig(2);
        rig.send("a");
        assert!(rig.is_ready());
        rig.send("b");
        assert!(!rig.is_ready());
        drop(rig.taken());
        assert_eq!(rig.settled(), None);
        assert_eq!(rig.settled(), None);
        assert_eq!(keys(&rig.taken()), ["a", "b"]);
    }

    #[test]
    fn a_rate_bounds_when_records_are_sent() {
        let mut rig = rig(100);
        let now = Instant::now();
        rig.feed.rate = Rate::new(Some(1), now);
        assert_eq!(rig.feed.ready_at(0, 2, now), Some(now));
        rig.feed.send(0, record("a", "{}"), now);
        let next = rig.feed.ready_at(0, 2, now);
        assert_eq!(next, Some(now + Duration::from_secs(1)));
    }
}
