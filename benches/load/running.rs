//! A side of a case that has been started: a server with its clients, a worker, or a server that is
//! started anew in each turn. It knows nothing of the other sides.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::case::{Alone, BACKLOG, Serving, Setup, Side, Task};
use super::client::{Pace, waits};
use super::loaded_server::LoadedServer;
use super::measured::Measured;
use super::process::Resident;
use super::server::Server;
use super::site::Site;
use super::window::Window;
use super::worker::Worker;

/// The settings of one turn of a side.
#[derive(Clone, Copy)]
pub struct Turn {
    pub time: Duration,
    /// The requests a second that saturate the case's subject, where a rate is a share of them.
    pub saturating: Option<f64>,
    /// Records of one batch of a worker.
    pub batch: usize,
    /// Whether `perf` samples the side's process.
    pub is_sampled: bool,
}

/// A started side with the windows measured so far.
pub struct Running {
    side: Side,
    state: State,
    pub windows: Vec<Window>,
    /// A further window, sampled by `perf`.
    pub profile: Option<Window>,
}

enum State {
    Server(Box<LoadedServer>),
    Worker {
        worker: Worker,
        /// The fixed batch size of a worker that cannot choose it.
        records: Option<usize>,
    },
    /// A server that is started anew for each window.
    Start(Serving),
    Backlog(Box<Backlog>),
}

impl Running {
    /// Starts a side. Its clients stay connected between turns if `keep_connections` is true.
    pub fn start(side: Side, shared: &Site, keep_connections: bool) -> Self {
        let state = match side.task {
            Task::Served(serving, load) => State::Server(Box::new(LoadedServer::start(
                serving,
                load,
                shared,
                keep_connections,
            ))),
            Task::Alone(alone) => start_worker(alone, shared),
            Task::Start(serving) => State::Start(serving),
            Task::Forward(setup) => State::Backlog(Box::new(Backlog::start(setup, shared))),
        };
        Self {
            side,
            state,
            windows: Vec::new(),
            profile: None,
        }
    }

    /// Runs the side without measuring it: for about `time`, with `batch` records of a worker.
    pub fn warm_up(&mut self, batch: usize, time: Duration) {
        match &mut self.state {
            State::Server(server) => server.warm_up(time),
            State::Worker { worker, records } => {
                worker.run(records.unwrap_or(batch), time);
            }
            State::Start(_) | State::Backlog(_) => {}
        }
    }

    /// Returns how many requests a second a server answers in a closed loop, or `None` if the side
    /// is no server under load.
    pub fn saturating_rate(&mut self, time: Duration) -> Option<f64> {
        let State::Server(server) = &mut self.state else {
            return None;
        };
        let window = server.measure(Pace::Closed, time, false);
        Some(window.requests as f64 / window.elapsed.as_secs_f64())
    }

    /// Measures one turn.
    pub fn measure(&mut self, site: &Site, turn: Turn) -> Window {
        match &mut self.state {
            State::Server(server) => {
                let pace = server.pace(turn.saturating);
                server.measure(pace, turn.time, turn.is_sampled)
            }
            State::Worker { worker, records } => {
                worker.measure(records.unwrap_or(turn.batch), turn.time, turn.is_sampled)
            }
            State::Start(serving) => measure_start(*serving, site),
            State::Backlog(backlog) => backlog.measure(site, turn.is_sampled),
        }
    }

    /// Stops the side and returns its measurements.
    pub fn end(self, saturating: Option<f64>) -> Measured {
        let mut measured = Measured {
            side: self.side,
            windows: self.windows,
            profile: self.profile,
            rate: None,
            connections: 0,
            idle: Resident::default(),
            loaded: Resident::default(),
        };
        match &self.state {
            State::Server(server) => {
                measured.rate = saturating
                    .zip(server.share())
                    .map(|(saturating, share)| saturating * share);
                measured.connections = server.connections();
                measured.idle = server.idle();
                measured.loaded = server.loaded();
            }
            State::Worker { worker, .. } => measured.loaded = worker.process().resident(),
            State::Backlog(backlog) => measured.loaded = backlog.resident(),
            State::Start(_) => {}
        }
        measured
    }
}

fn start_worker(alone: Alone, site: &Site) -> State {
    match alone {
        Alone::Kafka => start_kafka_worker(&site.kafka().bootstrap(), site, None),
        Alone::KafkaFar => start_kafka_worker(&site.kafka().bootstrap_far(), site, None),
        Alone::KafkaBacklog => start_kafka_worker(&site.kafka().bootstrap(), site, Some(BACKLOG)),
        Alone::PubSub => {
            let endpoint = site.pubsub().endpoint();
            let topic = site.pubsub_topic();
            State::Worker {
                worker: Worker::start(&["bare-pubsub", &endpoint, &topic]),
                records: None,
            }
        }
        Alone::Decode(body) => {
            let text = serde_json::to_string(&body).expect("a body is plain data");
            State::Worker {
                worker: Worker::start(&["decode", &text]),
                records: Some(body.records()),
            }
        }
    }
}

fn start_kafka_worker(bootstrap: &str, site: &Site, records: Option<usize>) -> State {
    State::Worker {
        worker: Worker::start(&["bare-kafka", bootstrap, &site.kafka_topic(1)]),
        records,
    }
}

/// Starts a server and waits until it is ready. The start counts as one request, with all CPU time
/// of the process.
fn measure_start(serving: Serving, site: &Site) -> Window {
    if let Serving::Gateway(Setup { users, .. }) = serving {
        // The users are made beforehand: making them is no part of the start.
        site.users(users);
    }
    let began = Instant::now();
    let server = Server::start(serving, site);
    if let Serving::Gateway(_) = serving {
        server.wait_until_ready();
    }
    let elapsed = began.elapsed();
    let mut waits = waits();
    waits.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    Window {
        requests: 1,
        records: 1,
        elapsed,
        cpu: server.process().cpu(),
        waits: Some(waits),
        ..Window::default()
    }
}
