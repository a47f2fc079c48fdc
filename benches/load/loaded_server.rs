//! A server with the clients that send to it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Load, Rate, Serving, Setup};
use super::client::{Client, Pace, Tally, waits};
use super::process::Resident;
use super::profile::Sampler;
use super::requests::Requests;
use super::server::{Server, Writes};
use super::site::Site;
use super::window::Window;

/// A server under load.
pub struct LoadedServer {
    server: Server,
    clients: Vec<Client>,
    requests: Arc<Requests>,
    load: Load,
    users: usize,
    /// The number of client threads.
    threads: usize,
    /// Whether clients stay connected between turns. If the connections of all sides exceed the
    /// limit on descriptors, each side connects for its turn alone.
    keep_connections: bool,
    idle: Resident,
    loaded: Resident,
}

impl LoadedServer {
    /// Starts the server. No client is connected yet.
    pub fn start(serving: Serving, load: Load, site: &Site, keep_connections: bool) -> Self {
        let users = if let Serving::Gateway(Setup { users, .. }) = serving {
            users
        } else {
            1
        };
        let mut requests = Requests::new(load.body, &site.users(users));
        if load.has_key {
            requests = requests.with_keys();
        }
        let server = Server::start(serving, site);
        let idle = server.process().resident();
        Self {
            server,
            clients: Vec::new(),
            requests: Arc::new(requests),
            load,
            users,
            threads: site.clients().min(load.connections),
            keep_connections,
            idle,
            loaded: idle,
        }
    }

    pub fn connections(&self) -> usize {
        self.load.connections
    }

    /// Returns the memory of the process before the first connection.
    pub fn idle(&self) -> Resident {
        self.idle
    }

    /// Returns the memory of the process at the end of the last turn, with all connections open.
    pub fn loaded(&self) -> Resident {
        self.loaded
    }

    /// Returns the rate as a share of the saturating rate, or `None` in a closed loop.
    pub fn share(&self) -> Option<f64> {
        if let Rate::Share(share) = self.load.rate {
            Some(share)
        } else {
            None
        }
    }

    /// Returns the pace of each client.
    pub fn pace(&self, saturating: Option<f64>) -> Pace {
        match self.share().zip(saturating) {
            Some((share, rate)) => Pace::Every(Duration::from_secs_f64(
                self.threads as f64 / (rate * share),
            )),
            None => Pace::Closed,
        }
    }

    /// Sends in a closed loop until each user's token has been used once.
    pub fn warm_up(&mut self, time: Duration) {
        let mut answers = 0;
        self.connect();
        while answers < self.users as u64 {
            answers += self.run(Pace::Closed, time).answers;
        }
        self.server.wait_until_forwarded();
        self.disconnect();
    }

    /// Sends so many requests, and waits for their answers.
    pub fn send(&mut self, requests: usize) {
        self.connect();
        self.run(Pace::Count(requests / self.threads), Duration::ZERO);
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Sends for `time` and measures the server's process.
    pub fn measure(&mut self, pace: Pace, time: Duration, is_sampled: bool) -> Window {
        let process = self.server.process();
        // Latencies are measured without it: its after-effects last into the window.
        if let Pace::Closed = pace {
            self.server.touch_memory();
        }
        if !self.keep_connections {
            self.connect();
            self.run(Pace::Closed, time / 4);
        }
        let sampler = is_sampled.then(|| Sampler::start(process, time));
        let writes = self.server.writes();
        let commits = self.server.commits();
        let cpu_before = process.settled_cpu();
        let began = Instant::now();
        let tally = self.run(pace, time);
        let elapsed = began.elapsed();
        // The work on a request ends when the sink has its records.
        self.server.wait_until_forwarded();
        let cpu = process.settled_cpu().saturating_sub(cpu_before);
        let mean = |before: Option<Writes>, after: Option<Writes>| {
            let (before, after) = before.zip(after)?;
            before.mean_records_until(after)
        };
        let batch = mean(writes, self.server.writes());
        let commit = mean(commits, self.server.commits());
        let profile = sampler.map(Sampler::end);
        self.server.remove_closed_files();
        self.disconnect();
        Window {
            requests: tally.answers,
            records: tally.answers * self.load.body.records() as u64,
            elapsed,
            cpu,
            waits: Some(tally.waits),
            batch,
            commit,
            profile,
        }
    }

    /// Connects the clients that are missing.
    fn connect(&mut self) {
        for index in self.clients.len()..self.threads {
            let remainder = self.load.connections % self.threads;
            self.clients.push(Client::connect(
                self.server.address,
                self.load.connections / self.threads + usize::from(index < remainder),
                &self.requests,
                (index, self.threads),
            ));
        }
    }

    /// Notes the process's memory, and closes the connections unless they are kept.
    fn disconnect(&mut self) {
        self.loaded = self.server.process().resident();
        if !self.keep_connections {
            self.clients.clear();
        }
    }

    /// Lets all clients send for `time`.
    fn run(&mut self, pace: Pace, time: Duration) -> Tally {
        let tallies: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| scope.spawn(move || client.run(pace, time)))
                .collect();
            threads
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
                .expect("all histograms have the same bounds");
        }
        all
    }
}
