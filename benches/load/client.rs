//! A client thread: many connections on one epoll, requests as fixed bytes, answers parsed no
//! further than their status and their length.
//!
//! In a closed loop, each connection sends its next request when it has the answer to the last. At
//! a constant rate, requests are due at fixed times, however late the answers are. A wait counts
//! from the time at which the request was due, so that waiting for a free connection is part of it.

mod connection;
mod schedule;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::requests::Requests;
use connection::Connection;
use schedule::Schedule;

pub use schedule::Pace;

/// The longest time without an answer. After it the server counts as stuck.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The connections that are opened before each of them sends a request.
const OPENED_AT_ONCE: usize = 100;
const READ_BYTES: usize = 64 << 10;
const EVENTS: usize = 1024;
/// The bounds of a wait. Shorter and longer waits count as these.
const SHORTEST_NS: u64 = 100;
const LONGEST_NS: u64 = 60_000_000_000;

pub struct Client {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// The connections without a request in flight, the one that has been idle longest first.
    idle: VecDeque<usize>,
    requests: Arc<Requests>,
    /// The number of the next request.
    next: usize,
    stride: usize,
    scratch: Vec<u8>,
    input: Vec<u8>,
}

/// The result of a run.
pub struct Tally {
    pub answers: u64,
    /// How long the answers took, in nanoseconds.
    pub waits: Histogram<u64>,
}

/// Returns an empty histogram of waits.
pub fn waits() -> Histogram<u64> {
    Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, 3).expect("the bounds are valid")
}

impl Client {
    /// Opens `connections` connections and waits for an answer on each. The client is number
    /// `index` of `clients`, which share out the numbers of the requests.
    pub fn connect(
        address: SocketAddr,
        connections: usize,
        requests: &Arc<Requests>,
        (index, clients): (usize, usize),
    ) -> Self {
        let mut client = Self {
            idle: VecDeque::with_capacity(connections),
            connections: Vec::with_capacity(connections),
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("an epoll is created"),
            requests: Arc::clone(requests),
            next: index,
            stride: clients,
            scratch: Vec::new(),
            input: vec![0; READ_BYTES],
        };
        while client.connections.len() < connections {
            let count = OPENED_AT_ONCE.min(connections - client.connections.len());
            for _ in 0..count {
                client.open(address, index * connections + client.connections.len());
            }
            // At once: a gateway closes a connection that sends nothing.
            client.run(Pace::Count(count), Duration::ZERO);
        }
        client
    }

    /// Opens a connection, which is used next.
    fn open(&mut self, address: SocketAddr, number: usize) {
        let connection = Connection::open(address, number);
        let index = self.connections.len();
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(
            &self.epoll,
            connection.stream(),
            EventData::new_u64(index as u64),
            flags,
        )
        .expect("the epoll takes the connection");
        self.connections.push(connection);
        self.idle.push_front(index);
    }

    /// Sends for `time`, then waits for the answers that are missing.
    ///
    /// # Panics
    /// Panics if an answer is not a 200, or no answer comes within [`ANSWER_MAX`].
    pub fn run(&mut self, pace: Pace, time: Duration) -> Tally {
        let mut tally = Tally {
            answers: 0,
            waits: waits(),
        };
        let mut schedule = Schedule::new(pace, Instant::now(), time);
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        loop {
            self.send_due(&mut schedule);
            if self.idle.len() == self.connections.len() && schedule.is_over(Instant::now()) {
                return tally;
            }
            self.wait(&schedule, &mut events);
            for event in events.drain(..) {
                let index =
                    usize::try_from(event.data.u64()).expect("the data is a connection's index");
                self.proceed(index, &mut tally);
                self.send_due(&mut schedule);
            }
        }
    }

    /// Sends the requests that are due, as long as a connection is idle.
    fn send_due(&mut self, schedule: &mut Schedule) {
        while let Some(&index) = self.idle.front() {
            let Some(due) = schedule.take(Instant::now()) else {
                return;
            };
            self.idle.pop_front();
            let number = self.next;
            self.next += self.stride;
            let request = self.requests.get(number, &mut self.scratch);
            self.connections[index].send(number, request, due);
        }
    }

    /// Writes and reads on a connection that is ready for it.
    fn proceed(&mut self, index: usize, tally: &mut Tally) {
        let connection = &mut self.connections[index];
        if let Some(number) = connection.unsent() {
            connection.write(self.requests.get(number, &mut self.scratch));
        }
        if let Some(due) = connection.read(&mut self.input) {
            tally.answers += 1;
            let wait = u64::try_from(due.elapsed().as_nanos()).unwrap_or(LONGEST_NS);
            tally.waits.saturating_record(wait);
            self.idle.push_back(index);
        }
    }

    /// Waits until a connection is ready or the next request is due.
    fn wait(&self, schedule: &Schedule, events: &mut Vec<Event>) {
        let due = if self.idle.is_empty() {
            None
        } else {
            schedule.until_due(Instant::now())
        };
        let time = Timespec::try_from(due.unwrap_or(ANSWER_MAX)).expect("the time is short");
        let began = Instant::now();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("cannot wait for answers: {error}"),
        }
        let late = events.is_empty() && due.is_none() && began.elapsed() >= ANSWER_MAX;
        let in_flight = self.connections.len() - self.idle.len();
        assert!(
            !late,
            "{in_flight} requests have had no answer for {ANSWER_MAX:?}"
        );
    }
}
