//! The gateway as a whole: what is opened before the first port, what runs, and the order in which
//! it ends.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use iem_sink::{SinkError, SinkErrorKind};

use crate::checker::Checker;
use crate::config::{self, Config};
use crate::http::{
    Admin, HeadLimits, Http2Limits, Http2Settings, Proxies, Readers, Readiness, Server,
    ServerSettings, Service, State, Topic,
};
use crate::identity::directory::{DirectoryError, LiveDirectory, Watcher};
use crate::identity::password::MEMORY_KIB_MAX;
use crate::identity::quota::{Quotas, Rates};
use crate::identity::token::{KeyError, Lifetimes, SigningKey, Tokens};
use crate::identity::{FailuresPerMinute, Identity, LoginSettings, Settings};
use crate::memory::MemoryBudget;
use crate::pipeline::{Backend, Observer, Pipeline, Vitals};
use crate::record::Kind;
use crate::sinks::{self, Backends};
use crate::telemetry::{CertificateSnapshot, Metrics, Snapshot, TopicSnapshot};
use crate::tls::{self, LiveTls, TlsError};

// Neither room knows the other, and the ceiling on memory must hold for any hash.
const _: () = assert!(config::PASSWORD_HASH_BYTES == (MEMORY_KIB_MAX as usize) << 10);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory file is missing or does not hold.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The key that tokens are signed with.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate, its key or the roots of client certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A sink does not take records.
    #[error("{sink}: {error}")]
    Sink {
        /// Which one.
        sink: String,
        /// Its own words.
        error: SinkError,
    },
    /// An address that cannot be listened on.
    #[error("cannot listen on {address} ({key}): {error}")]
    Listen {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The operating system's words.
        error: io::Error,
    },
    /// The operating system does not give what is needed.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// Two metrics of one name: a fault of the program.
    #[error("cannot start: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl StartError {
    /// Whether somebody has to change the configuration, or what it names, before another try can
    /// succeed.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Directory(_) | Self::Key(_) | Self::Tls(_) => true,
            Self::Sink { error, .. } => error.kind == SinkErrorKind::Permanent,
            Self::Listen { .. } | Self::System(_) | Self::Metrics(_) => false,
        }
    }
}

/// Why the gateway did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
    /// Requests or records were still under way when the time for draining was over. No 200 was
    /// given for them.
    #[error("not all was finished within {0:?}; what was not finished has not been acknowledged")]
    NotDrained(Duration),
    /// A sink did not close.
    #[error("{sink}: {error}")]
    Sink {
        /// Which one.
        sink: &'static str,
        /// Its own words.
        error: SinkError,
    },
}

/// A gateway that has opened everything and listens, but serves nothing yet.
pub struct Gateway {
    service: Arc<Service>,
    server: Server,
    admin: Admin,
    address: SocketAddr,
    admin_address: SocketAddr,
    directory: Arc<LiveDirectory>,
    watcher: Watcher,
    tls: Option<(Arc<LiveTls>, tls::Watcher)>,
    backends: Backends,
    checker: Checker,
    draining: Arc<AtomicBool>,
    drain: Duration,
}

impl Gateway {
    /// Opens what `config` names: directory, keys, sinks, and last the ports.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
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
        let directory = Arc::new(LiveDirectory::open(&config.directory.path)?);
        let identity = Arc::new(open_identity(config, &directory)?);
        let tls = config
            .server
            .tls
            .settings(config.server.http2.enabled)
            .map(LiveTls::open)
            .transpose()?;
        let tls = tls.map(Arc::new);
        let metrics = Metrics::new(config.metrics.customer_series)?;
        let memory = MemoryBudget::new(config.server.memory);
        let topics = start_topics(config, &backends, &metrics)?;
        let vitals: Arc<[Vitals]> = topics.iter().map(|topic| topic.pipeline.vitals()).collect();
        let checker = Checker::start(&backends, &vitals)?;

        let listener = listen("server.listen", config.server.listen)?;
        let admin_listener = listen("admin.listen", config.admin.listen)?;
        let (address, admin_address) = (listener.local_addr()?, admin_listener.local_addr()?);
        let service = Arc::new(Service {
            source: config.server.name.as_str().into(),
            identity: Arc::clone(&identity),
            memory: Arc::clone(&memory),
            body_size: config.server.max_body,
            body_time: config.server.body_timeout,
            body_rate: config.server.body_rate,
            head: head_limits(&config.server),
            readers: Readers::new(config.server.readers(), config.server.readers_patience())?,
            topics,
            quotas: Quotas::new(rates(&config.quota)),
            metrics: Arc::clone(&metrics),
        });
        let server = Server::new(
            listener,
            &server_settings(&config.server),
            tls.as_ref(),
            &service,
            &metrics,
        )?;
        let draining = Arc::new(AtomicBool::new(false));
        let state = GatewayState {
            draining: Arc::clone(&draining),
            vitals,
            backends: backends.values().cloned().collect(),
            identity,
            tls: tls.clone(),
            memory,
            metrics,
        };
        Ok(Self {
            service,
            server,
            admin: Admin::start(admin_listener, state)?,
            address,
            admin_address,
            watcher: Watcher::start(Arc::clone(&directory))?,
            directory,
            tls: tls
                .map(|tls| Ok::<_, io::Error>((Arc::clone(&tls), tls::Watcher::start(tls)?)))
                .transpose()?,
            backends,
            checker,
            draining,
            drain: config.server.drain,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where probes and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// What reads the directory and the certificate again, on demand. It blocks, and logs what is
    /// wrong.
    pub fn reloader(&self) -> impl Fn() + Clone + Send + 'static {
        let (directory, tls) = (
            Arc::clone(&self.directory),
            self.tls.as_ref().map(|(tls, _)| Arc::clone(tls)),
        );
        move || {
            let _ = directory.reload();
            if let Some(tls) = &tls {
                tls.reload();
            }
        }
    }

    /// What serves connections that come over no socket, beside those that do.
    #[cfg(feature = "testing")]
    pub fn front(&self, config: &Config) -> crate::http::testing::Front {
        crate::http::testing::Front::new(&self.service, &server_settings(&config.server))
    }

    /// Serves until `shutdown`, then drains: no new connection, idle ones closed, what was accepted
    /// finished. Blocks the calling thread.
    ///
    /// # Errors
    /// What could not be served, or not be finished within the time for draining.
    pub fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            service,
            mut server,
            admin,
            watcher,
            tls,
            backends,
            checker,
            draining,
            drain,
            ..
        } = self;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(server.run(shutdown))?;

        tracing::info!(?drain, "draining");
        draining.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + drain;
        let mut drained = server.drain(deadline);
        // The service is the queues' only owner once its threads have ended; the workers end when
        // it is gone.
        match Arc::into_inner(service) {
            Some(service) => {
                for topic in service.topics {
                    drained &= topic.pipeline.close(deadline);
                }
            }
            None => drained = false,
        }
        drop(watcher);
        if let Some((_, watcher)) = tls {
            watcher.stop();
        }
        checker.stop();
        admin.stop();
        if !drained {
            return Err(RunError::NotDrained(drain));
        }
        for backend in backends.into_values().filter_map(Arc::into_inner) {
            let close = backend.sink.close(deadline);
            close.map_err(|error| RunError::Sink {
                sink: backend.name,
                error,
            })?;
        }
        tracing::info!("drained");
        Ok(())
    }
}

fn open_identity(config: &Config, directory: &Arc<LiveDirectory>) -> Result<Identity, StartError> {
    let lifetimes = Lifetimes {
        access: config.tokens.access_lifetime,
        refresh: config.tokens.refresh_lifetime,
    };
    let tokens = Tokens::new(&SigningKey::open(&config.tokens.key_file)?, lifetimes);
    let logins = LoginSettings {
        failures: FailuresPerMinute {
            user_and_peer: at_least_one(config.login.failures_per_user),
            peer: at_least_one(config.login.failures_per_peer),
        },
        hashing: config.server.password_permits(),
        remembered: config.tokens.cache_entries as u64,
        ..LoginSettings::default()
    };
    let settings = Settings {
        tokens: config.tokens.cache_entries as u64,
        logins,
    };
    Ok(Identity::new(Arc::clone(directory), tokens, settings))
}

/// The configuration's limits have seen to it that a count is not 0.
fn at_least_one(count: usize) -> NonZeroU32 {
    NonZeroU32::new(narrow(count)).unwrap_or(NonZeroU32::MIN)
}

fn rates(quota: &config::Quota) -> Rates {
    let rate = |count| NonZeroU32::new(narrow(count));
    Rates {
        records: rate(quota.records),
        bytes: rate(quota.bytes),
    }
}

/// The configuration's limits have seen to it that a count is not beyond 32 bits.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|error| StartError::Listen {
        key,
        address,
        error,
    })
}

fn server_settings(server: &config::Server) -> ServerSettings {
    ServerSettings {
        threads: server.threads,
        connections_max: server.max_connections,
        connections_per_peer: server.max_connections_per_peer,
        proxies: Proxies {
            networks: server.proxies.clone(),
            protocol: server.proxy_protocol,
        },
        header_size: server.max_header,
        header_time: server.header_timeout,
        idle_time: server.idle_timeout,
        request_time: server.request_timeout,
        write_time: server.write_timeout,
        head: head_limits(server),
        http2: server.http2.enabled.then(|| http2_settings(&server.http2)),
    }
}

fn head_limits(server: &config::Server) -> HeadLimits {
    HeadLimits {
        headers_max: server.max_headers,
        uri_size: server.max_uri,
    }
}

fn http2_settings(http2: &config::Http2) -> Http2Settings {
    Http2Settings {
        connections_max: http2.max_connections,
        requests_max: http2.max_requests,
        limits: Http2Limits {
            streams_max: narrow(http2.max_streams),
            stream_window: narrow(http2.stream_window),
            connection_window: narrow(http2.connection_window),
            pending_resets_max: http2.max_pending_resets,
            error_resets_max: http2.max_error_resets,
        },
    }
}

fn start_topics(
    config: &Config,
    backends: &Backends,
    metrics: &Metrics,
) -> Result<[Topic; Kind::COUNT], StartError> {
    let start = |kind: Kind| -> Result<Topic, StartError> {
        let topic = &config.topics[kind as usize];
        let backend = &backends[&topic.sink];
        let observer: Arc<dyn Observer> = Arc::clone(metrics.topic(kind)) as _;
        let pipeline =
            Pipeline::start(kind.topic(), topic, backend, &observer).map_err(|error| {
                StartError::Sink {
                    sink: format!("topics.{}", kind.topic()),
                    error,
                }
            })?;
        Ok(Topic {
            pipeline,
            key_fields: topic.key.iter().map(String::as_str).collect(),
        })
    };
    // One after the other: where a backend is away, the first to say so is enough.
    let topics = Kind::ALL
        .into_iter()
        .map(start)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(topics
        .try_into()
        .unwrap_or_else(|_| unreachable!("a topic for each kind")))
}

/// What the admin listener shows.
struct GatewayState {
    draining: Arc<AtomicBool>,
    vitals: Arc<[Vitals]>,
    backends: Vec<Arc<Backend>>,
    identity: Arc<Identity>,
    tls: Option<Arc<LiveTls>>,
    memory: Arc<MemoryBudget>,
    metrics: Arc<Metrics>,
}

impl State for GatewayState {
    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if self.draining.load(Ordering::Relaxed) {
            reasons.push("draining".to_owned());
        }
        for health in self.vitals.iter().map(Vitals::health) {
            if let Some(reason) = health.down(Instant::now()) {
                reasons.push(format!(
                    "topic {} at sink {}: {reason}",
                    health.topic, health.sink
                ));
            }
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }

    fn metrics(&self) -> String {
        let topic = |vitals: &Vitals| TopicSnapshot {
            topic: vitals.health().topic,
            sink: vitals.health().sink,
            records: vitals.records(),
            bytes: vitals.bytes(),
            up: vitals.health().down(Instant::now()).is_none(),
        };
        let counts = self.identity.counts();
        let status = self.identity.directory().status();
        self.metrics.render(&Snapshot {
            topics: self.vitals.iter().map(topic).collect(),
            sinks: self
                .backends
                .iter()
                .map(|backend| (backend.name, backend.sink.statistics()))
                .collect(),
            memory: self.memory.used(),
            memory_limit: self.memory.limit(),
            token_cache_hits: counts.token_hits,
            token_cache_misses: counts.token_misses,
            failed_logins: counts.failed_logins,
            directory_ok: status.error.is_none(),
            directory_users: status.users,
            directory_customers: status.customers,
            certificate: self.tls.as_ref().map(|tls| tls.status()).map(|status| {
                CertificateSnapshot {
                    ok: status.error.is_none(),
                    end: status.validity.until,
                }
            }),
        })
    }
}
