//! The gateway as a whole: opens all parts before the first port, runs them, and drains them in
//! order. It answers nothing itself.

mod backlogs;
mod error;
mod journaled_keys;
mod journals;
mod state;
mod topics;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::Sink;
use socket2::{Domain, Socket, Type};

use crate::admin::{Access, Admin};
use crate::background::Background;
use crate::checker::Checker;
use crate::config::{Config, STRANGERS_BYTES};
use crate::follow::Follower;
use crate::http::api::{ParsePool, Resources, Service, Strangers};
use crate::http::transport::Server;
use crate::idempotency::Window;
use crate::identity::Identity;
use crate::identity::directory::{DirectoryFollower, LiveDirectory};
use crate::identity::quota::Quotas;
use crate::identity::token::Tokens;
use crate::memory::MemoryBudget;
use crate::pipeline::Vitals;
use crate::record::Kind;
use crate::shares::Ledger;
use crate::sinks::{self, Backends};
use crate::telemetry::Metrics;
use crate::tls::LiveTls;
pub use backlogs::{Backlog, Backlogs};
pub use error::{RunError, StartError};
use journaled_keys::JournaledKeys;
pub use journals::dead_letters;
use state::GatewayState;
use topics::Topics;

/// Connections that may wait to be accepted. The kernel drops the first packet of further ones, and
/// their clients try again after a second. `net.core.somaxconn` is the kernel's own bound.
const BACKLOG: i32 = 4096;

/// A gateway that has opened everything and listens, but serves nothing yet.
pub struct Gateway {
    service: Arc<Service>,
    server: Server<Service>,
    admin: Admin,
    address: SocketAddr,
    admin_address: SocketAddr,
    identity: Arc<Identity>,
    tls: Option<Arc<LiveTls>>,
    admin_tls: Option<Arc<LiveTls>>,
    followers: (DirectoryFollower, Vec<Follower>),
    backends: Backends,
    checker: Checker,
    /// Reads keys until all are known.
    _journaled_keys: Background,
    /// The files of dead letters, which are closed when they are idle.
    dead_letters: Option<Box<dyn Sink>>,
    drain: Duration,
}

impl Gateway {
    /// Opens all that `config` names: directory, keys, sinks, and last the ports.
    ///
    /// # Errors
    /// The first thing that cannot be opened.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let backends = sinks::open(config).map_err(|error| StartError::Sink {
            sink: "sink".to_owned(),
            error,
        })?;
        Self::open_with_sinks(config, backends)
    }

    /// As [`open`](Self::open), on sinks that are open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_sinks(config: &Config, backends: Backends) -> Result<Self, StartError> {
        let server = Arc::new(config.server.clone());
        let directory = Arc::new(LiveDirectory::open(&config.directory.path)?);
        let tokens = Tokens::open(&config.tokens)?.issued_by(&config.server.url);
        let identity = Arc::new(Identity::new(Arc::clone(&directory), tokens, config));
        let tls = if server.tls.is_on() {
            Some(Arc::new(LiveTls::open(&server.tls, server.http2.enabled)?))
        } else {
            None
        };
        let admin_tls = if config.admin.tls.is_on() {
            Some(Arc::new(LiveTls::open(
                &config.admin.tls.settings(),
                false,
            )?))
        } else {
            None
        };
        let metrics = Metrics::new(config.metrics.customer_series)?;
        let memory = MemoryBudget::new(server.memory);
        let window = Arc::new(Window::new(&config.idempotency));
        let journaled_keys = JournaledKeys::find(config);
        let Topics {
            topics,
            dead_letters,
        } = topics::start(config, &backends, &metrics)?;
        let journaled_keys = journaled_keys.restore(&window)?;
        let vitals: Arc<[Vitals]> = topics.iter().map(|topic| topic.pipeline.vitals()).collect();
        let checker = Checker::start(&backends, &vitals)?;
        let listener = listen("server.listen", server.listen)?;
        let admin_listener = listen("admin.listen", config.admin.listen)?;
        let address = listener.local_addr()?;
        let admin_address = admin_listener.local_addr()?;
        let resources = Resources {
            source: server.name.as_str().into(),
            identity: Arc::clone(&identity),
            memory: Arc::clone(&memory),
            strangers: Strangers::new(STRANGERS_BYTES),
            ledger: Ledger::new(Kind::COUNT, server.threads),
            parse_pool: ParsePool::new(server.parse_threads(), server.parse_wait())?,
            topics,
            alert_mapping: Arc::new(config.alertmanager.mapping()),
            quotas: Arc::new(Quotas::new(config.quota)),
            window: Arc::clone(&window),
            metrics: Arc::clone(&metrics),
            server: Arc::clone(&server),
        };
        let service = Arc::new(Service { resources });
        let server = Server::new(listener, &server, tls.as_ref(), &service, &metrics)?;
        let access = Access::new(
            Arc::clone(&identity),
            Arc::clone(&metrics),
            &config.admin,
            &config.server.url,
        );
        let state = GatewayState {
            connections_limit: config.server.max_connections,
            draining: server.draining(),
            vitals,
            backends: backends.values().cloned().collect(),
            identity: Arc::clone(&identity),
            tls: tls.clone(),
            admin_tls: admin_tls.clone(),
            memory,
            window,
            metrics,
        };
        let mut followers = Vec::from_iter(identity.tokens().follow()?);
        for tls in tls.iter().chain(&admin_tls) {
            followers.push(tls.follow()?);
        }
        Ok(Self {
            service,
            server,
            admin: Admin::start(admin_listener, admin_tls.clone(), access, state)?,
            address,
            admin_address,
            followers: (directory.follow()?, followers),
            identity,
            tls,
            admin_tls,
            backends,
            checker,
            _journaled_keys: journaled_keys,
            dead_letters,
            drain: config.server.drain,
        })
    }

    /// Returns the address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of probes and metrics.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Returns a function that reads the directory, the token keys and the certificates again. It
    /// blocks, and logs errors.
    pub fn reloader(&self) -> impl Fn() + Clone + Send + 'static {
        let identity = Arc::clone(&self.identity);
        let certificates: Vec<_> = self.tls.iter().chain(&self.admin_tls).cloned().collect();
        move || {
            let _ = identity.directory().reload();
            let _ = identity.tokens().reload();
            for tls in &certificates {
                let _ = tls.reload();
            }
        }
    }

    /// Returns the quotas of customers, whose default may change while the gateway runs.
    pub fn quotas(&self) -> Arc<Quotas> {
        Arc::clone(&self.service.resources.quotas)
    }

    /// Returns a front that serves connections over other streams than sockets.
    #[cfg(feature = "testing")]
    pub fn front(&self) -> crate::http::testing::Front {
        crate::http::testing::Front::new(&self.service)
    }

    /// Serves until `shutdown`, then drains: closes the listener and idle connections, and finishes
    /// accepted requests. Blocks the calling thread.
    ///
    /// # Errors
    /// The listener failed, or something was not finished within the time for draining.
    pub fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.server.run(shutdown))?;
        let drain = self.drain;
        tracing::info!(?drain, "draining");
        let deadline = Instant::now() + drain;
        let mut drained = self.server.drain(deadline);
        // The service is the channels' only owner once its threads have ended. The workers end when
        // it is gone.
        match Arc::into_inner(self.service) {
            Some(service) => {
                let topics = service.resources.topics;
                for topic in &topics {
                    topic.pipeline.stop(deadline);
                }
                for topic in topics {
                    drained &= topic.pipeline.close(deadline);
                }
            }
            None => drained = false,
        }
        drop(self.followers);
        self.checker.stop();
        self.admin.stop();
        drop(self.dead_letters);
        if !drained {
            return Err(RunError::NotDrained(drain));
        }
        for backend in self.backends.into_values().filter_map(Arc::into_inner) {
            let closed = backend.sink.close(deadline);
            closed.map_err(|error| RunError::Sink {
                sink: backend.name,
                error,
            })?;
        }
        tracing::info!("drained");
        Ok(())
    }
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    bind(address).map_err(|error| StartError::Listen {
        key,
        address,
        error,
    })
}

/// Binds a listener as [`TcpListener::bind`] does, with a longer backlog.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart does not wait until the last connections' time is over (RFC 9293, 2 x MSL).
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn connections_that_come_at_once_are_not_turned_away() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let waiting: Vec<_> = (0..512)
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(900)))
            .collect::<Result<_, _>>()
            .expect("nobody has to try again");
        assert_eq!(waiting.len(), 512);
    }
}
