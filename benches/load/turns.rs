//! Runs a case: starts its sides, warms them up, and measures them in turns, so that whatever else
//! the machine does meets all of them.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Alone, Case, Load, Rate, Serving, Setup, Side, What};
use super::client::{Client, Pace, Tally, waits};
use super::process::{Process, Resident};
use super::profile::Sampler;
use super::requests::Requests;
use super::server::Server;
use super::site::Site;
use super::window::Window;
use super::worker::Worker;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub turns: usize,
    pub window: Duration,
    /// How long each side is sampled when all turns are over.
    pub profile: Option<Duration>,
}

/// What a side does in its turn.
#[derive(Clone, Copy)]
struct Turn {
    time: Duration,
    /// Requests a second that saturate the case's subject.
    saturating: Option<f64>,
    /// Records that a worker is to take at a time.
    batch: usize,
    is_sampled: bool,
}

/// What came of one side: a window for each turn.
pub struct Measured {
    pub side: Side,
    pub windows: Vec<Window>,
    /// Another one, sampled.
    pub profile: Option<Window>,
    /// Requests a second that were asked for, where that is a constant.
    pub rate: Option<f64>,
    pub connections: usize,
    pub idle: Resident,
    pub loaded: Resident,
}

/// What a server still has to do when it has answered: count, log, let go.
const SETTLE: Duration = Duration::from_millis(5);
/// For the first batch of a worker, when it is not known how large the gateway's are.
const BATCH_RECORDS: usize = 100;

/// # Panics
/// Where a side does not do what it should.
pub fn run(case: &Case, site: &Site, effort: Effort) -> Vec<Measured> {
    let lasting = connections(case) <= site.connections_max();
    let start = |side: &Side| {
        let mut running = Running::start(*side, site, lasting);
        // At once: a gateway closes a connection on which nothing comes.
        running.warm_up(effort);
        running
    };
    let mut sides: Vec<_> = case.sides.iter().map(start).collect();
    let saturating = saturating(&case.sides[0], &mut sides[0], effort);
    let mut turn = Turn {
        time: effort.window,
        saturating,
        batch: BATCH_RECORDS,
        is_sampled: false,
    };
    for _ in 0..effort.turns {
        for (place, side) in sides.iter_mut().enumerate() {
            let window = side.measure(site, turn);
            if place == 0 {
                turn.batch = window
                    .batch
                    .map_or(turn.batch, |batch| batch.round().max(1.0) as usize);
            }
            side.windows.push(window);
        }
    }
    if let Some(time) = effort.profile {
        let turn = Turn {
            time,
            is_sampled: true,
            ..turn
        };
        for side in &mut sides {
            side.profile = Some(side.measure(site, turn));
        }
    }
    sides.into_iter().map(|side| side.end(saturating)).collect()
}

/// Of all sides together.
fn connections(case: &Case) -> usize {
    let of = |side: &Side| {
        if let What::Served(_, load) = side.what {
            load.connections
        } else {
            0
        }
    };
    case.sides.iter().map(of).sum()
}

/// What the subject answers in a second when it is asked as fast as it answers, where a rate is a
/// share of that.
fn saturating(subject: &Side, running: &mut Running, effort: Effort) -> Option<f64> {
    let What::Served(
        _,
        Load {
            rate: Rate::Share(_),
            ..
        },
    ) = subject.what
    else {
        return None;
    };
    let State::Server(server) = &mut running.state else {
        return None;
    };
    let window = server.measure(Pace::Closed, 2 * effort.window, false);
    Some(window.requests as f64 / window.elapsed.as_secs_f64())
}

struct Running {
    side: Side,
    state: State,
    windows: Vec<Window>,
    profile: Option<Window>,
}

enum State {
    Server(Box<Loaded>),
    Worker {
        worker: Worker,
        records: Option<usize>,
    },
    /// Started anew for each window.
    Start(Serving),
}

/// A server with its clients.
struct Loaded {
    server: Server,
    clients: Vec<Client>,
    requests: Arc<Requests>,
    load: Load,
    users: usize,
    threads: usize,
    /// Whether clients stay connected between turns. If all sides' do not fit, each connects for
    /// its turn.
    is_lasting: bool,
    before: Resident,
    after: Resident,
}

impl Running {
    fn start(side: Side, shared: &Site, lasting: bool) -> Self {
        let state = match side.what {
            What::Served(serving, load) => {
                State::Server(Box::new(Loaded::start(serving, load, shared, lasting)))
            }
            What::Alone(alone) => start_worker(alone, shared),
            What::Start(serving) => State::Start(serving),
        };
        Self {
            side,
            state,
            windows: Vec::new(),
            profile: None,
        }
    }

    fn warm_up(&mut self, effort: Effort) {
        match &mut self.state {
            State::Server(server) => {
                // Every user's token has been seen once.
                let mut answers = 0;
                server.connect();
                while answers < server.users as u64 {
                    answers += server.run(Pace::Closed, effort.window).answers;
                }
                server.disconnect();
            }
            State::Worker { worker, records } => {
                worker.run(records.unwrap_or(BATCH_RECORDS), effort.window);
            }
            State::Start(_) => {}
        }
    }

    fn measure(&mut self, site: &Site, turn: Turn) -> Window {
        let Turn {
            time,
            saturating,
            batch,
            is_sampled,
        } = turn;
        match &mut self.state {
            State::Server(server) => {
                let pace = server.pace(saturating);
                server.measure(pace, time, is_sampled)
            }
            State::Worker { worker, records } => {
                let process = worker.process();
                let sampler = is_sampled.then(|| Sampler::start(process, time));
                let (before, began) = (process.cpu(), Instant::now());
                let times = worker.run(records.unwrap_or(batch), time);
                let elapsed = began.elapsed();
                thread::sleep(SETTLE);
                let records = times * records.unwrap_or(batch) as u64;
                let cpu = process.cpu().saturating_sub(before);
                let profile = sampler.map(Sampler::end);
                Window {
                    requests: times,
                    records,
                    elapsed,
                    cpu,
                    waits: None,
                    batch: None,
                    profile,
                }
            }
            State::Start(serving) => measure_start(*serving, site),
        }
    }

    fn end(self, saturating: Option<f64>) -> Measured {
        let Self {
            side,
            state,
            windows,
            profile,
        } = self;
        let (rate, connections, idle, loaded) = match &state {
            State::Server(server) => {
                let rate = saturating
                    .zip(server.share())
                    .map(|(saturating, share)| saturating * share);
                (rate, server.load.connections, server.before, server.after)
            }
            State::Worker { worker, .. } => {
                (None, 0, Resident::default(), worker.process().resident())
            }
            State::Start(_) => (None, 0, Resident::default(), Resident::default()),
        };
        Measured {
            side,
            windows,
            profile,
            rate,
            connections,
            idle,
            loaded,
        }
    }
}

fn start_worker(alone: Alone, site: &Site) -> State {
    let (worker, records) = match alone {
        Alone::Kafka | Alone::KafkaFar => {
            let kafka = site.kafka();
            let far = matches!(alone, Alone::KafkaFar);
            let bootstrap = if far {
                kafka.bootstrap_far()
            } else {
                kafka.bootstrap()
            };
            (
                Worker::start(&["bare-kafka", &bootstrap, &site.kafka_topic(1)]),
                None,
            )
        }
        Alone::PubSub => {
            let topic = site.pubsub_topic();
            (
                Worker::start(&["bare-pubsub", &site.pubsub().endpoint(), &topic]),
                None,
            )
        }
        Alone::Decode(body) => {
            let text = serde_json::to_string(&body).expect("a body is plain data");
            (Worker::start(&["decode", &text]), Some(body.records()))
        }
    };
    State::Worker { worker, records }
}

/// A server's start is a request of its own, and so is all of its CPU time.
fn measure_start(serving: Serving, site: &Site) -> Window {
    if let Serving::Gateway(Setup { users, .. }) = serving {
        // They are made before, not by the start.
        site.users(users);
    }
    let began = Instant::now();
    let server = start_server(serving, site);
    if let Serving::Gateway(_) = serving {
        server.wait_until_ready();
    }
    let elapsed = began.elapsed();
    let mut waits = waits();
    waits.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    let cpu = server.process().cpu();
    Window {
        requests: 1,
        records: 1,
        elapsed,
        cpu,
        waits: Some(waits),
        batch: None,
        profile: None,
    }
}

fn start_server(serving: Serving, site: &Site) -> Server {
    match serving {
        Serving::Hyper => Server::hyper(site),
        Serving::Gateway(setup) => Server::gateway(site, setup),
    }
}

impl Loaded {
    fn start(serving: Serving, load: Load, site: &Site, lasting: bool) -> Self {
        let users = if let Serving::Gateway(Setup { users, .. }) = serving {
            users
        } else {
            1
        };
        let requests = Arc::new(Requests::new(load.body, &site.users(users)));
        let server = start_server(serving, site);
        let before = server.process().resident();
        let threads = site.clients().min(load.connections);
        Self {
            server,
            clients: Vec::new(),
            requests,
            load,
            users,
            threads,
            is_lasting: lasting,
            before,
            after: before,
        }
    }

    /// Connects the clients that are not.
    fn connect(&mut self) {
        let (connections, threads) = (self.load.connections, self.threads);
        for index in self.clients.len()..threads {
            let connections = connections / threads + usize::from(index < connections % threads);
            let place = (index, threads);
            self.clients.push(Client::connect(
                self.server.address,
                connections,
                &self.requests,
                place,
            ));
        }
    }

    fn disconnect(&mut self) {
        self.after = self.server.process().resident();
        if !self.is_lasting {
            self.clients.clear();
        }
    }

    fn share(&self) -> Option<f64> {
        if let Rate::Share(share) = self.load.rate {
            Some(share)
        } else {
            None
        }
    }

    /// The pace of each client.
    fn pace(&self, saturating: Option<f64>) -> Pace {
        match self.share().zip(saturating) {
            Some((share, rate)) => Pace::Every(Duration::from_secs_f64(
                self.threads as f64 / (rate * share),
            )),
            None => Pace::Closed,
        }
    }

    fn measure(&mut self, pace: Pace, time: Duration, is_sampled: bool) -> Window {
        let process: Process = self.server.process();
        // Not before latencies are measured: what follows from it takes its time.
        if let Pace::Closed = pace {
            self.server.touch_memory();
        }
        if !self.is_lasting {
            self.connect();
            self.run(Pace::Closed, time / 4);
        }
        let sampler = is_sampled.then(|| Sampler::start(process, time));
        let writes = self.server.writes();
        thread::sleep(SETTLE);
        let (before, began) = (process.cpu(), Instant::now());
        let tally = self.run(pace, time);
        let elapsed = began.elapsed();
        thread::sleep(SETTLE);
        let cpu = process.cpu().saturating_sub(before);
        let records = tally.answers * self.load.body.records() as u64;
        let batch = writes
            .zip(self.server.writes())
            .and_then(|((count, sum), (counts, sums))| {
                (counts > count).then(|| (sums - sum) / (counts - count))
            });
        let profile = sampler.map(Sampler::end);
        self.server.remove_closed_files();
        self.disconnect();
        Window {
            requests: tally.answers,
            records,
            elapsed,
            cpu,
            waits: Some(tally.waits),
            batch,
            profile,
        }
    }

    /// Lets all clients send for `time`.
    fn run(&mut self, pace: Pace, time: Duration) -> Tally {
        let tallies: Vec<_> = thread::scope(|scope| {
            let run = |client| scope.spawn(move || Client::run(client, pace, time));
            let clients: Vec<_> = self.clients.iter_mut().map(run).collect();
            clients
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut all = Tally {
            answers: 0,
            waits: waits(),
        };
        for tally in tallies {
            let tally = tally.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.answers += tally.answers;
            all.waits
                .add(tally.waits)
                .expect("bounds that are the same");
        }
        all
    }
}

impl Measured {
    /// What it is, and its load where that is not the subject's.
    pub fn name(&self, subject: &Self) -> String {
        match (self.side.what, subject.side.what) {
            (What::Served(serving, load), What::Served(_, same)) if load == same => {
                serving.to_string()
            }
            (What::Served(serving, load), _) => format!("{serving}, {load}"),
            (What::Start(serving), _) => serving.to_string(),
            (What::Alone(alone), _) => alone.to_string(),
        }
    }
}
