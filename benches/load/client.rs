//! A thread's worth of clients: many connections on one epoll, requests as fixed bytes, answers
//! read no further than their length asks.
//!
//! In a closed loop each connection sends when it has its answer. At a constant rate requests are
//! due at fixed times, whatever the answers do; a wait is counted from when a request was due, so
//! that one held up behind others has waited.

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

/// Nothing has been answered for so long: the server does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that are opened before each has sent a request.
const GREETED_AT_ONCE: usize = 100;
const READ_BYTES: usize = 64 << 10;
const EVENTS: usize = 1024;
/// What is less than a tenth of a microsecond is not told apart, and what is more than a minute
/// neither.
const SHORTEST_NS: u64 = 100;
const LONGEST_NS: u64 = 60_000_000_000;

pub struct Client {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Those without a request under way, the one that has waited longest first.
    idle: VecDeque<usize>,
    requests: Arc<Requests>,
    /// The number of the next request.
    next: usize,
    stride: usize,
    scratch: Vec<u8>,
    input: Vec<u8>,
}

/// What came of a run.
pub struct Tally {
    pub answers: u64,
    /// How long they took, in nanoseconds.
    pub waits: Histogram<u64>,
}

/// Waits, none yet.
pub fn waits() -> Histogram<u64> {
    Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, 3).expect("bounds that hold")
}

impl Client {
    /// Connects `connections` times, and has a request answered on each connection. Of several
    /// clients `index` is this one's place: they share out the requests' numbers.
    pub fn connect(
        address: SocketAddr,
        connections: usize,
        requests: &Arc<Requests>,
        (index, clients): (usize, usize),
    ) -> Self {
        let mut client = Self {
            idle: VecDeque::with_capacity(connections),
            connections: Vec::with_capacity(connections),
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("an epoll"),
            requests: Arc::clone(requests),
            next: index,
            stride: clients,
            scratch: Vec::new(),
            input: vec![0; READ_BYTES],
        };
        while client.connections.len() < connections {
            let some = GREETED_AT_ONCE.min(connections - client.connections.len());
            (0..some)
                .for_each(|_| client.open(address, index * connections + client.connections.len()));
            // A gateway closes a connection on which nothing comes.
            client.run(Pace::Count(some), Duration::ZERO);
        }
        client
    }

    /// Opens a connection, which is the next to be used.
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
        .expect("a place in the epoll");
        self.connections.push(connection);
        self.idle.push_front(index);
    }

    /// Sends for `time`, then waits for the answers that are still due.
    ///
    /// # Panics
    /// On any answer but a 200, and where none comes.
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
                let index = usize::try_from(event.data.u64()).expect("the number of a connection");
                self.go_on(index, &mut tally);
                self.send_due(&mut schedule);
            }
        }
    }

    /// Sends what is due, as far as there are connections for it.
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

    /// Goes on with a connection on which something can be read or written.
    fn go_on(&mut self, index: usize, tally: &mut Tally) {
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

    fn wait(&self, schedule: &Schedule, events: &mut Vec<Event>) {
        let due = if self.idle.is_empty() {
            None
        } else {
            schedule.until_due(Instant::now())
        };
        let time = Timespec::try_from(due.unwrap_or(PATIENCE)).expect("a short time");
        let began = Instant::now();
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("waiting for answers: {error}"),
        }
        let late = events.is_empty() && due.is_none() && began.elapsed() >= PATIENCE;
        let open = self.connections.len() - self.idle.len();
        assert!(!late, "{open} requests have had no answer for {PATIENCE:?}");
    }
}
