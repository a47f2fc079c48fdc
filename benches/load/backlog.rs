//! A gateway that forwards a backlog: records are put into its journal while the broker stands still,
//! and are forwarded once it goes on.

use std::time::{Duration, Instant};

use super::body::{Body, Form};
use super::case::{BACKLOG, Load, Rate, Serving, Setup};
use super::loaded_server::LoadedServer;
use super::process::Resident;
use super::profile::Sampler;
use super::site::Site;
use super::window::Window;

/// The records of one request.
const RECORDS: usize = 1000;
const CONNECTIONS: usize = 16;
/// The time for which `perf` samples.
const SAMPLED: Duration = Duration::from_secs(2);

/// A gateway with a journal before Kafka.
pub struct Backlog {
    server: LoadedServer,
}

impl Backlog {
    /// Starts the gateway.
    pub fn start(setup: Setup, site: &Site) -> Self {
        let load = Load {
            body: Body::many(Form::Array(RECORDS)),
            connections: CONNECTIONS,
            rate: Rate::Closed,
            has_key: false,
        };
        Self {
            server: LoadedServer::start(Serving::Gateway(setup), load, site, true),
        }
    }

    /// Returns the memory of the process.
    pub fn resident(&self) -> Resident {
        self.server.server().process().resident()
    }

    /// Fills the journal, and measures until the sink has all of it.
    pub fn measure(&mut self, site: &Site, is_sampled: bool) -> Window {
        site.kafka().pause(0);
        self.server.send(BACKLOG / RECORDS);
        let server = self.server.server();
        let process = server.process();
        let sampler = is_sampled.then(|| Sampler::start(process, SAMPLED));
        let cpu_before = process.settled_cpu();
        let began = Instant::now();
        site.kafka().resume(0);
        server.wait_until_forwarded();
        let elapsed = began.elapsed();
        let cpu = process.settled_cpu().saturating_sub(cpu_before);
        Window {
            requests: BACKLOG as u64,
            records: BACKLOG as u64,
            elapsed,
            cpu,
            profile: sampler.map(Sampler::end),
            ..Window::default()
        }
    }
}
