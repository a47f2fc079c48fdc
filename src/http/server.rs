//! Accepts connections, hands them in turn to the serving threads, and drains. It reads no request.
//!
//! Each serving thread has a runtime of its own, so that a connection stays on one core and its tasks need no locks.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Application, ConnectionLimits, Http2Limits, Protocol};
use super::response::{Answer, Refusal, TOO_MANY_CONNECTIONS};
use super::service::Service;
use super::tls::{self, Secured};
use crate::telemetry::{Endpoint, Metrics};
use crate::threads::all_ended;
use crate::tls::LiveTls;

/// Connections over the bound that are told so at one time; those beyond are closed without a word.
const REFUSALS_MAX: usize = 64;
/// How long such a connection is kept for the client to read the answer.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// The wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Serving threads.
    pub threads: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a request's head.
    pub header_size: usize,
    /// From the first byte of a request's head to its last.
    pub header_time: Duration,
    /// Between an answer and the next request.
    pub idle_time: Duration,
    /// HTTP/2; without this it is not served.
    pub http2: Option<Http2Settings>,
}

/// How HTTP/2 is served.
#[derive(Clone, Copy, Debug)]
pub struct Http2Settings {
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
            header_size: self.header_size,
            http2: self.http2.map(|http2| http2.limits),
        }
    }
}

struct Accepted {
    stream: StdStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

/// The serving threads and the listener that feeds them.
pub struct Server {
    listener: StdListener,
    settings: ServerSettings,
    /// Whether clients speak TLS.
    encrypted: bool,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    threads: Vec<(mpsc::UnboundedSender<Accepted>, JoinHandle<()>)>,
}

impl Server {
    /// Starts the serving threads. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// The operating system's, of a thread or a runtime that it does not give.
    pub fn new(
        listener: StdListener,
        settings: ServerSettings,
        tls: Option<&Arc<LiveTls>>,
        service: &Arc<Service>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let draining = CancellationToken::new();
        let requests = Arc::new(Semaphore::new(settings.http2.map_or(0, |http2| http2.requests_max)));
        let threads = (0..settings.threads)
            .map(|index| {
                // Unbounded, but it never holds more than the permits let through.
                let (sender, receiver) = mpsc::unbounded_channel();
                let thread = Thread {
                    service: Arc::clone(service),
                    tls: tls.cloned(),
                    requests: Arc::clone(&requests),
                    limits: settings.limits(),
                    metrics: Arc::clone(metrics),
                    // A child for each thread: polling it takes a lock that is then the thread's own.
                    draining: draining.child_token(),
                };
                Ok((sender, thread.spawn(index, receiver)?))
            })
            .collect::<io::Result<_>>()?;
        let encrypted = tls.is_some();
        Ok(Self { listener, settings, encrypted, metrics: Arc::clone(metrics), draining, threads })
    }

    /// Accepts until `shutdown`, then closes the listener.
    ///
    /// # Errors
    /// The operating system's, of a listener it does not let be waited for.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let permits = Arc::new(Semaphore::new(self.settings.connections_max));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
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
                    self.metrics.connection_refused();
                    // A handshake costs more than there is to give now.
                    if !self.encrypted {
                        refuse(stream, &refusals);
                    }
                    continue;
                };
                // Answers are small and written at once: waiting to fill a segment would only delay them.
                let _ = stream.set_nodelay(true);
                if let (Ok(stream), Some(index)) = (stream.into_std(), next.next()) {
                    // A thread that is gone has panicked out of its runtime; its connections end with it.
                    let _ = self.threads[index].0.send(Accepted { stream, peer, permit });
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
        Ok(())
    }

    /// Closes idle connections, lets requests under way finish until `deadline`, and ends the threads. Says whether
    /// all connections ended by themselves.
    pub fn drain(self, deadline: Instant) -> bool {
        drop(self.listener);
        self.draining.cancel();
        let (senders, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(senders);
        all_ended(&threads, deadline)
    }
}

/// Tells a client that there are too many connections, if not too many are being told already.
fn refuse(mut stream: TcpStream, refusals: &Arc<Semaphore>) {
    let Ok(permit) = Arc::clone(refusals).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let _permit = permit;
        let _ = tokio::time::timeout(REFUSAL_TIME, async {
            stream.write_all(TOO_MANY_CONNECTIONS).await?;
            connection::linger(stream).await
        })
        .await;
    });
}

/// One serving thread.
pub(super) struct Thread {
    pub(super) service: Arc<Service>,
    pub(super) tls: Option<Arc<LiveTls>>,
    /// For requests over HTTP/2, of which a connection has many.
    pub(super) requests: Arc<Semaphore>,
    pub(super) limits: ConnectionLimits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) draining: CancellationToken,
}

impl Thread {
    fn spawn(self, index: usize, receiver: mpsc::UnboundedReceiver<Accepted>) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(format!("http-{index}")).spawn(move || {
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

    async fn serve(&self, Accepted { stream, peer, permit }: Accepted) {
        let _permit = permit;
        let _open = self.metrics.connection_opened();
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
        };
        if let Err(error) = self.serve_stream(stream, peer).await {
            self.metrics.connection_failed();
            tracing::debug!(%error, %peer, "connection failed");
        }
    }

    async fn serve_stream(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Some(tls) = &self.tls else { return self.serve_plain(stream, peer).await };
        let secured = tokio::select! {
            biased;
            secured = tls::accept(stream, tls, self.limits.header_time) => secured,
            // Nothing of a request has come.
            () = self.draining.cancelled() => return Ok(()),
        };
        let Secured { stream, protocol, certified } =
            secured.inspect_err(|_| self.metrics.handshake_failed())?;
        let client = Peer { thread: self, address: peer, certified };
        connection::serve(stream, protocol, self.limits, &client, &self.draining).await
    }

    /// Serves a connection without TLS, over a stream of any kind.
    pub(super) async fn serve_plain<S>(&self, stream: S, peer: SocketAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let client = Peer { thread: self, address: peer, certified: None };
        connection::serve(stream, Protocol::Either, self.limits, &client, &self.draining).await
    }
}

/// The service, as one peer meets it.
struct Peer<'a> {
    thread: &'a Thread,
    address: SocketAddr,
    /// The email of the user that its certificate stands for.
    certified: Option<Arc<str>>,
}

impl Application for Peer<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let Thread { service, requests, metrics, .. } = self.thread;
        let _permit = if request.version() == Version::HTTP_2 {
            let Ok(permit) = requests.try_acquire() else {
                metrics.request_refused();
                return Refusal::TooManyRequests.into_answer(Endpoint::Other);
            };
            Some(permit)
        } else {
            None
        };
        service.answer(request, self.address.ip(), self.certified.clone()).await
    }
}
