//! The gateway as a whole: opens all parts before the first port, runs them, and drains them in
//! order. It answers nothing itself.

mod backlogs;
mod error;
mod journaled_keys;
mod journals;
mod listeners;
mod replays;
mod state;
mod topics;
mod watched;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iem_sink::Sink;

use crate::admin::{Access, Admin};
use crate::background::Background;
use crate::checker::Checker;
use crate::config::{Config, STRANGERS_BYTES, SettingsInUse};
use crate::follow::Follower;
use crate::http::api::{ParsePool, Resources, Service, Strangers};
use crate::http::transport::Server;
use crate::idempotency::Window;
use crate::identity::Identity;
use crate::identity::directory::{DirectoryFollower, LiveDirectory};
use crate::identity::oidc::{Issuer, IssuerKeys};
use crate::identity::quota::Quotas;
use crate::identity::token::Tokens;
use crate::memory::MemoryBudget;
use crate::pipeline::Vitals;
use crate::record::Kind;
use crate::shares::Ledger;
use crate::sinks::{self, Backends};
use crate::telemetry::Metrics;
use crate::telemetry::traces::{Exporter, Tracer};
use crate::tls::LiveTls;
pub use backlogs::{Backlog, Backlogs};
pub use error::{RunError, StartError};
use journaled_keys::JournaledKeys;
pub use journals::dead_letters;
pub use listeners::Listeners;
use replays::Replays;
use state::GatewayState;
use topics::Topics;

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
    followers: (DirectoryFollower, Vec<Follower>, Option<IssuerKeys>),
    backends: Backends,
    checker: Checker,
    /// Reads keys until all are known.
    _journaled_keys: Background,
    /// The files of dead letters, which are closed when they are idle.
    dead_letters: Option<Box<dyn Sink>>,
    /// Sends the spans of traces, if there are any.
    span_exporter: Option<Exporter>,
    settings: Arc<SettingsInUse>,
    replays: Arc<Replays>,
    drain_delay: Duration,
    drain: Duration,
}

impl Gateway {
    /// Opens all that `config` names: directory, keys, sinks, and last the ports.
    ///
    /// # Errors
    /// The first thing that cannot be opened.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        Self::open_on(config, Listeners::default())
    }

    /// As [`open`](Self::open), on listeners that are open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(config: &Config, listeners: Listeners) -> Result<Self, StartError> {
        let backends = sinks::open(config).map_err(|error| StartError::Sink {
            sink: "sink".to_owned(),
            error,
        })?;
        Self::assemble(config, backends, listeners)
    }

    /// As [`open`](Self::open), on sinks that are open already.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_sinks(config: &Config, backends: Backends) -> Result<Self, StartError> {
        Self::assemble(config, backends, Listeners::default())
    }

    fn assemble(
        config: &Config,
        backends: Backends,
        listeners: Listeners,
    ) -> Result<Self, StartError> {
        let server = Arc::new(config.server.clone());
        let directory = Arc::new(LiveDirectory::of(config)?);
        let identity = open_identity(config, &directory)?;
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
        let started = Tracer::start(&config.traces, &server.name, &metrics)?;
        let (tracer, span_exporter) = started.unzip();
        let memory = MemoryBudget::new(server.memory);
        let window = Arc::new(Window::new(&config.idempotency));
        let journaled_keys = JournaledKeys::find(config);
        let Topics {
            topics,
            dead_letters,
        } = topics::start(config, &backends, &metrics, tracer.as_ref())?;
        let journaled_keys = journaled_keys.restore(&window)?;
        let vitals: Arc<[Vitals]> = topics.iter().map(|topic| topic.pipeline.vitals()).collect();
        let checker = Checker::start(&backends, &vitals)?;
        let issuer_keys = identity.issuer().map(Issuer::follow).transpose()?;
        let (listener, admin_listener) = listeners.open(config)?;
        let address = listener.local_addr()?;
        let admin_address = admin_listener.local_addr()?;
        let quotas = directory.share_quotas(Quotas::new(config.quota));
        let settings = Arc::new(SettingsInUse::default());
        let resources = Resources {
            source: server.name.as_str().into(),
            identity: Arc::clone(&identity),
            memory: Arc::clone(&memory),
            strangers: Strangers::new(STRANGERS_BYTES),
            ledger: Ledger::new(Kind::COUNT, server.threads),
            parse_pool: ParsePool::new(server.parse_threads(), server.parse_wait())?,
            topics,
            alert_mapping: Arc::new(config.alertmanager.mapping()),
            quotas: Arc::clone(&quotas),
            window: Arc::clone(&window),
            metrics: Arc::clone(&metrics),
            tracer: tracer.clone(),
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
        let replays = Arc::new(Replays::new(config, &backends));
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
            quotas,
            tracer,
            settings: Arc::clone(&settings),
            replays: Arc::clone(&replays),
            config: config.clone(),
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
            followers: (directory.follow()?, followers, issuer_keys),
            identity,
            tls,
            admin_tls,
            backends,
            checker,
            _journaled_keys: journaled_keys,
            dead_letters,
            span_exporter,
            settings,
            replays,
            drain_delay: config.server.drain_delay,
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
            if let Some(issuer) = identity.issuer() {
                issuer.ask();
            }
            for tls in &certificates {
                let _ = tls.reload();
            }
        }
    }

    /// Returns the quotas of customers, whose default may change while the gateway runs.
    pub fn quotas(&self) -> Arc<Quotas> {
        Arc::clone(&self.service.resources.quotas)
    }

    /// Returns a function that asks every serving thread for a sign of life. It answers once all have
    /// answered, with whether none has ended, and never while one hangs.
    pub fn liveness(&self) -> impl AsyncFn() -> bool + 'static {
        let probe = self.server.probe();
        async move || probe.all_answer().await
    }

    /// Returns the values of the configuration that hold, for the console: whoever loads them tells
    /// them.
    pub fn settings(&self) -> Arc<SettingsInUse> {
        Arc::clone(&self.settings)
    }

    /// Returns a front that serves connections over other streams than sockets.
    #[cfg(feature = "testing")]
    pub fn front(&self) -> crate::http::testing::Front {
        crate::http::testing::Front::new(&self.service)
    }

    /// Serves until `shutdown`, stays for a while without being ready, then drains: closes the listener
    /// and idle connections, and finishes accepted requests. The future that `shutdown` returns ends
    /// the wait before the drain early. Blocks the calling thread.
    ///
    /// # Errors
    /// The listener failed, or something was not finished within the time for draining.
    pub fn run<H: Future<Output = ()>>(
        mut self,
        shutdown: impl Future<Output = H>,
    ) -> Result<(), RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let served = runtime.block_on(self.server.run(shutdown, self.drain_delay));
        // A reload that hangs is left behind.
        runtime.shutdown_background();
        served?;
        let drain = self.drain;
        tracing::info!(?drain, "draining");
        let deadline = Instant::now() + drain;
        self.replays.signal_stop();
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
        self.replays.stop(deadline);
        drop(self.replays);
        drop(self.dead_letters);
        if let Some(exporter) = &self.span_exporter {
            exporter.begin_stop();
        }
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
        drop(self.span_exporter);
        tracing::info!("drained");
        Ok(())
    }
}

fn open_identity(
    config: &Config,
    directory: &Arc<LiveDirectory>,
) -> Result<Arc<Identity>, StartError> {
    let tokens = Tokens::open(&config.tokens)?.issued_by(&config.server.url);
    let issuer = Issuer::open(config).map_err(StartError::Oidc)?;
    let identity = Identity::new(Arc::clone(directory), tokens, config);
    Ok(Arc::new(identity.trusting(issuer)))
}
