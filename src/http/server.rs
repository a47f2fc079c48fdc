//! Accepts connections, hands them in turn to the serving threads, and drains. It reads no request.
//!
//! Each serving thread has a runtime of its own, so that a connection stays on one core and its
//! tasks need no locks.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::bounds::HeadLimits;
use super::connection::{self, Application, ConnectionLimits, Http2Limits, Protocol};
use super::draining::Draining;
use super::peers::Peers;
use super::proxies::Proxies;
use super::response::{Answer, Refusal, TOO_MANY_CONNECTIONS};
use super::service::Service;
use super::tls::{self, Secured};
use crate::identity::Shown;
use crate::telemetry::{Endpoint, Limit, Metrics};
use crate::threads::all_ended;
use crate::tls::LiveTls;

/// Connections over the bound that are told so at one time; those beyond are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long such a connection is kept for the client to read the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// Connections that are served before it is asked which others have something: where many are, each
/// is answered while its memory is still in the caches.
const EVENTS: usize = 8;
/// The wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Serving threads.
    pub threads: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once of a peer address that is no proxy's.
    pub connections_per_peer: usize,
    /// Whose word on clients' addresses is taken.
    pub proxies: Proxies,
    /// Bytes of a request's head.
    pub header_size: usize,
    /// From the first byte of a request's head to its last.
    pub header_time: Duration,
    /// Between an answer and the next request.
    pub idle_time: Duration,
    /// From a request's first byte to its answer's last.
    pub request_time: Duration,
    /// In which a client takes nothing of what it is sent.
    pub write_time: Duration,
    /// Bounds on a head beside its size.
    pub head: HeadLimits,
    /// HTTP/2; without this it is not served.
    pub http2: Option<Http2Settings>,
}

/// How HTTP/2 is served.
#[derive(Clone, Copy, Debug)]
pub struct Http2Settings {
    /// Connections at once.
    pub connections_max: usize,
    /// Requests at once, on all connections together.
    pub requests_max: usize,
    /// Bounds on one connection.
    pub limits: Http2Limits,
}

impl ServerSettings {
    pub(super) fn limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            header_time: self.header_time,
            idle_time: self.idle_time,
            request_time: self.request_time,
            write_time: self.write_time,
            header_size: self.header_size,
            headers: self.head.room(),
            http2: self.http2.map(|http2| http2.limits),
        }
    }
}

struct Accepted {
    stream: StdStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

/// What all threads share.
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    tls: Option<Arc<LiveTls>>,
    limits: ConnectionLimits,
    proxies: Proxies,
    peers: Arc<Peers>,
    /// For connections over HTTP/2, which cost more than others.
    http2_connections: Semaphore,
    /// For requests over HTTP/2, of which a connection has many.
    pub(super) requests: Semaphore,
    /// For connections that are told that there are too many.
    refusals: Semaphore,
    metrics: Arc<Metrics>,
}

/// The serving threads and the listener that feeds them.
pub struct Server {
    listener: StdListener,
    connections_max: usize,
    shared: Arc<Shared>,
    draining: Draining,
    threads: Vec<(mpsc::UnboundedSender<Accepted>, JoinHandle<()>)>,
}

impl Server {
    /// Starts the serving threads. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// The operating system's, of a thread or a runtime that it does not give.
    pub fn new(
        listener: StdListener,
        settings: &ServerSettings,
        tls: Option<&Arc<LiveTls>>,
        service: &Arc<Service>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let draining = Draining::default();
        let shared = Arc::new(Shared::new(settings, tls, service, metrics));
        let threads = (0..settings.threads)
            .map(|index| {
                // Unbounded, but it never holds more than the permits let through.
                let (sender, receiver) = mpsc::unbounded_channel();
                let thread = Thread {
                    shared: Arc::clone(&shared),
                    draining: draining.clone(),
                };
                Ok((sender, thread.spawn(index, receiver)?))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self {
            listener,
            connections_max: settings.connections_max,
            shared,
            draining,
            threads,
        })
    }

    /// Accepts until `shutdown`, then closes the listener.
    ///
    /// # Errors
    /// The operating system's, of a listener it does not let be waited for.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let permits = Arc::new(Semaphore::new(self.connections_max));
        let mut next = (0..self.threads.len()).cycle();
        let accept = async {
            loop {
                let (stream, peer) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                    self.shared.metrics.reached(Limit::Connections);
                    let shared = Arc::clone(&self.shared);
                    tokio::spawn(async move { shared.refuse(stream).await });
                    continue;
                };
                // Answers are small and written at once: waiting to fill a segment would only delay
                // them.
                let _ = stream.set_nodelay(true);
                if let (Ok(stream), Some(index)) = (stream.into_std(), next.next()) {
                    // A thread that is gone has panicked out of its runtime; its connections end
                    // with it.
                    let _ = self.threads[index].0.send(Accepted {
                        stream,
                        peer,
                        permit,
                    });
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
        Ok(())
    }

    /// Closes idle connections, lets requests under way finish until `deadline`, and ends the
    /// threads. Says whether all connections ended by themselves.
    pub fn drain(self, deadline: Instant) -> bool {
        drop(self.listener);
        self.draining.begin();
        let (senders, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(senders);
        all_ended(&threads, deadline)
    }
}

impl Shared {
    pub(super) fn new(
        settings: &ServerSettings,
        tls: Option<&Arc<LiveTls>>,
        service: &Arc<Service>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let http2 =
            |count: fn(Http2Settings) -> usize| Semaphore::new(settings.http2.map_or(0, count));
        Self {
            service: Arc::clone(service),
            tls: tls.cloned(),
            limits: settings.limits(),
            peers: Peers::new(settings.connections_per_peer),
            http2_connections: http2(|http2| http2.connections_max),
            requests: http2(|http2| http2.requests_max),
            refusals: Semaphore::new(REFUSALS_MAX),
            metrics: Arc::clone(metrics),
            proxies: settings.proxies.clone(),
        }
    }

    /// Tells a client that there are too many connections, if not too many are being told already.
    /// Over TLS nobody is: a handshake costs more than there is to give now.
    async fn refuse(&self, mut stream: TcpStream) {
        let Ok(_permit) = self.refusals.try_acquire() else {
            return;
        };
        if self.tls.is_some() {
            return;
        }
        let _ = tokio::time::timeout(REFUSAL_TIME, async {
            stream.write_all(TOO_MANY_CONNECTIONS).await?;
            connection::linger(stream).await
        })
        .await;
    }
}

/// One serving thread.
pub(super) struct Thread {
    pub(super) shared: Arc<Shared>,
    pub(super) draining: Draining,
}

impl Thread {
    fn spawn(
        self,
        index: usize,
        receiver: mpsc::UnboundedReceiver<Accepted>,
    ) -> io::Result<JoinHandle<()>> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime
            .enable_all()
            .max_io_events_per_tick(EVENTS)
            .build()?;
        std::thread::Builder::new()
            .name(format!("http-{index}"))
            .spawn(move || {
                LocalSet::new().block_on(&runtime, self.run(receiver));
                // What still runs on the blocking pool is a password hash that nobody waits for.
                runtime.shutdown_background();
            })
    }

    /// Serves what it is handed until the sender is gone, then until its connections have ended.
    async fn run(self, mut receiver: mpsc::UnboundedReceiver<Accepted>) {
        let thread = Rc::new(self);
        let connections = TaskTracker::new();
        while let Some(accepted) = receiver.recv().await {
            let thread = Rc::clone(&thread);
            connections.spawn_local(async move { thread.serve(accepted).await });
        }
        connections.close();
        connections.wait().await;
    }

    async fn serve(
        &self,
        Accepted {
            stream,
            peer,
            permit,
        }: Accepted,
    ) {
        let Shared {
            metrics,
            proxies,
            peers,
            ..
        } = &*self.shared;
        let open = metrics.connection_opened();
        let mut stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
        };
        let client = match self.client(&mut stream, peer).await {
            Some(Ok(client)) => client,
            Some(Err(error)) => {
                metrics.reached(Limit::ProxyHeader);
                metrics.connection_failed();
                return tracing::debug!(%error, %peer, "no word from a proxy");
            }
            None => return,
        };
        let is_proxy = proxies.contains(client.ip());
        // Behind a proxy that says nothing at this point any number of clients may be.
        let place = (!is_proxy).then(|| peers.enter(client.ip()));
        if let Some(None) = place {
            metrics.reached(Limit::ConnectionsPerPeer);
            drop((open, permit));
            return self.shared.refuse(stream).await;
        }
        if let Err(error) = self.serve_stream(stream, client.ip(), is_proxy).await {
            metrics.connection_failed();
            tracing::debug!(%error, peer = %client, "connection failed");
        }
    }

    /// Whose connection it is; none if the gateway is to stop before that is known.
    async fn client(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
    ) -> Option<io::Result<SocketAddr>> {
        tokio::select! {
            biased;
            client = self.shared.proxies.client(stream, peer, self.shared.limits.header_time) => Some(client),
            () = self.draining.begun() => None,
        }
    }

    async fn serve_stream(
        &self,
        stream: TcpStream,
        address: IpAddr,
        is_proxy: bool,
    ) -> io::Result<()> {
        match &self.shared.tls {
            None => self.serve_plain(stream, address, is_proxy).await,
            // Boxed: it is larger than a connection without it.
            Some(tls) => Box::pin(self.serve_secured(stream, tls, address, is_proxy)).await,
        }
    }

    async fn serve_secured(
        &self,
        stream: TcpStream,
        tls: &LiveTls,
        address: IpAddr,
        is_proxy: bool,
    ) -> io::Result<()> {
        let Shared {
            limits,
            http2_connections,
            metrics,
            ..
        } = &*self.shared;
        // A client that is not offered HTTP/2 speaks HTTP/1.1 as well.
        let http2 = http2_connections.try_acquire().ok();
        let secured = tokio::select! {
            biased;
            secured = tls::accept(stream, tls, http2.is_some(), limits.header_time) => secured,
            // Nothing of a request has come.
            () = self.draining.begun() => return Ok(()),
        };
        let Secured {
            stream,
            protocol,
            certified,
        } = secured.inspect_err(|error| {
            metrics.handshake_failed();
            if error.kind() == io::ErrorKind::TimedOut {
                metrics.reached(Limit::HandshakeTime);
            }
        })?;
        if limits.http2.is_some() && http2.is_none() {
            metrics.reached(Limit::Http2Connections);
        }
        let http2 = http2.filter(|_| protocol == Protocol::Http2);
        let client = Client {
            certified,
            http2: Cell::new(http2),
            ..self.client_at(address, is_proxy)
        };
        connection::serve(stream, protocol, *limits, &client, &self.draining).await
    }

    /// Serves a connection without TLS, over a stream of any kind.
    pub(super) async fn serve_plain<S>(
        &self,
        stream: S,
        address: IpAddr,
        is_proxy: bool,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let client = self.client_at(address, is_proxy);
        connection::serve(
            stream,
            Protocol::Either,
            self.shared.limits,
            &client,
            &self.draining,
        )
        .await
    }

    fn client_at(&self, address: IpAddr, is_proxy: bool) -> Client<'_> {
        Client {
            shared: &self.shared,
            address,
            is_proxy,
            certified: None,
            shown: Shown::default(),
            http2: Cell::new(None),
        }
    }
}

/// The service, as one client meets it.
struct Client<'a> {
    shared: &'a Shared,
    address: IpAddr,
    /// The address is a proxy's: it says at each request whose that is.
    is_proxy: bool,
    /// The email of the user that its certificate stands for.
    certified: Option<Arc<str>>,
    /// Among the connections over HTTP/2.
    http2: Cell<Option<SemaphorePermit<'a>>>,
    shown: Shown,
}

impl Application for Client<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let Shared {
            service,
            requests,
            proxies,
            ..
        } = self.shared;
        let _permit = if request.version() == Version::HTTP_2 {
            let Ok(permit) = requests.try_acquire() else {
                self.reached(Limit::Http2Requests);
                return Refusal::TooManyRequests.into_answer(Endpoint::Other);
            };
            Some(permit)
        } else {
            None
        };
        let peer = if self.is_proxy {
            proxies.forwarded(self.address, request.headers())
        } else {
            self.address
        };
        service
            .answer(request, peer, self.certified.clone(), &self.shown)
            .await
    }

    fn takes_http2(&self) -> bool {
        let permit = self
            .http2
            .take()
            .or_else(|| self.shared.http2_connections.try_acquire().ok());
        let takes = permit.is_some();
        self.http2.set(permit);
        if !takes {
            self.reached(Limit::Http2Connections);
        }
        takes
    }

    fn reached(&self, limit: Limit) {
        self.shared.metrics.reached(limit);
    }
}
