//! A serving thread: its runtime, and the connections that it is handed.

use std::cell::Cell;
use std::io;
#[cfg(feature = "testing")]
use std::net::IpAddr;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::application::Application;
use super::connection::{self, ConnectionLimits, Protocol};
use super::connection_budget::ConnectionPermit;
use super::draining::Draining;
use super::peers::PeerPermit;
use super::proxies::{self, Origin};
use super::responder::ClientResponder;
use super::shared::Shared;
use super::tls::{self, Secured};
use crate::telemetry::Limit;
use crate::tls::LiveTls;

/// I/O events that a runtime handles before it polls for more. With few, each of many connections
/// is answered while its memory is still in the caches.
const EVENTS: usize = 8;
/// The time from which on a connection without a byte makes room for others.
const FIRST_BYTES: Duration = Duration::from_millis(50);
/// The share of the greatest age that a connection may have.
const AGE_JITTER: Range<f64> = 0.9..1.1;

/// A connection on its way to a serving thread.
pub(super) struct Accepted {
    pub(super) stream: StdStream,
    pub(super) peer: SocketAddr,
    /// `None` for a proxy's connection.
    pub(super) peer_permit: Option<PeerPermit>,
    pub(super) permit: ConnectionPermit,
}

/// A message to a serving thread.
pub(super) enum Message {
    /// A connection to serve.
    Connection(Accepted),
    /// A question whether the thread still runs.
    Probe(oneshot::Sender<()>),
}

/// A serving thread.
pub struct Thread<A> {
    pub(crate) shared: Arc<Shared<A>>,
    pub(crate) draining: Draining,
}

impl<A: Application> Thread<A> {
    pub(super) fn spawn(
        self,
        index: usize,
        receiver: mpsc::UnboundedReceiver<Message>,
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
                // Only abandoned password hashes can still be running.
                runtime.shutdown_background();
            })
    }

    /// Serves the connections that come until the sender of `receiver` is gone and all have ended.
    async fn run(self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        let thread = Rc::new(self);
        let connections = TaskTracker::new();
        while let Some(message) = receiver.recv().await {
            match message {
                Message::Connection(accepted) => {
                    let thread = Rc::clone(&thread);
                    connections.spawn_local(async move { thread.serve(accepted).await });
                }
                Message::Probe(answer) => {
                    // The prober may have given up.
                    let _ = answer.send(());
                }
            }
        }
        connections.close();
        connections.wait().await;
    }

    async fn serve(
        &self,
        Accepted {
            stream,
            peer,
            mut peer_permit,
            permit,
        }: Accepted,
    ) {
        let Shared {
            server,
            metrics,
            peers,
            ..
        } = &*self.shared;
        let open = metrics.connection_opened();
        let mut stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "cannot serve a connection"),
        };
        // Until its first bytes are there to be read, or it is late with them, nobody has it leave.
        let _ = tokio::time::timeout(FIRST_BYTES, stream.readable()).await;
        permit.begin();
        let origin = tokio::select! {
            biased;
            origin = proxies::origin(server, &mut stream, peer) => origin,
            () = self.told_to_close(&permit) => return,
        };
        let origin = match origin {
            Ok(origin) => origin,
            Err(error) => {
                metrics.reached(Limit::ProxyHeader);
                metrics.connection_failed();
                return tracing::debug!(%error, %peer, "no header of the PROXY protocol");
            }
        };
        let address = origin.address.ip();
        // Any number of clients may be behind a proxy that has not told the client's address yet.
        if peer_permit.is_none() && !origin.is_proxy {
            peer_permit = peers.try_acquire(address);
            if peer_permit.is_none() {
                metrics.reached(Limit::ConnectionsPerPeer);
                drop((open, permit));
                return self.shared.reject(stream).await;
            }
        }
        let ended = self.serve_stream(stream, origin, &permit).await;
        if let Err(error) = ended
            && !permit.is_leaving()
        {
            metrics.connection_failed();
            tracing::debug!(%error, peer = %origin.address, "connection failed");
        }
    }

    /// Waits until a connection has to close that is not ready for a request yet.
    async fn told_to_close(&self, permit: &ConnectionPermit) {
        tokio::select! {
            biased;
            () = permit.told_to_leave() => {}
            () = self.draining.begun_for(connection::HANDSHAKE_TIME) => {}
        }
    }

    async fn serve_stream(
        &self,
        stream: TcpStream,
        origin: Origin,
        permit: &ConnectionPermit,
    ) -> io::Result<()> {
        match &self.shared.tls {
            None => self.serve_plain(stream, origin, permit).await,
            // Boxed: it is larger than a connection without it.
            Some(tls) => Box::pin(self.serve_secured(stream, tls, origin, permit)).await,
        }
    }

    async fn serve_secured(
        &self,
        stream: TcpStream,
        tls: &LiveTls,
        origin: Origin,
        permit: &ConnectionPermit,
    ) -> io::Result<()> {
        let Shared {
            server,
            http2_connections,
            metrics,
            ..
        } = &*self.shared;
        // A client that is not offered HTTP/2 speaks HTTP/1.1 as well.
        let peer = (!origin.is_proxy).then(|| origin.address.ip().into());
        let http2 = http2_connections.try_acquire(peer);
        let secured = tokio::select! {
            biased;
            secured = tls::accept(stream, tls, http2.is_some(), server.header_timeout) => secured,
            () = self.told_to_close(permit) => return Ok(()),
        };
        let Secured {
            stream,
            protocol,
            certificate,
        } = secured.inspect_err(|error| {
            metrics.handshake_failed();
            if error.kind() == io::ErrorKind::TimedOut {
                metrics.reached(Limit::HandshakeTime);
            }
        })?;
        if server.http2.enabled && http2.is_none() {
            metrics.reached(Limit::Http2Connections);
        }
        let http2 = http2.filter(|_| protocol == Protocol::Http2);
        let responder = ClientResponder {
            certificate,
            http2: Cell::new(http2),
            http2_open: Cell::default(),
            ..self.responder(origin, permit)
        };
        connection::serve(stream, protocol, self.limits(), &responder, &self.draining).await
    }

    /// Serves a connection of a client at this address, without TLS, over a stream of any kind.
    #[cfg(feature = "testing")]
    pub(crate) async fn serve_one<S>(&self, stream: S, address: IpAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let permit = self.shared.connections.try_acquire();
        let permit = permit.ok_or_else(|| io::Error::other("too many connections"))?;
        permit.begin();
        let origin = Origin {
            address: SocketAddr::new(address, 0),
            is_proxy: false,
        };
        self.serve_plain(stream, origin, &permit).await
    }

    async fn serve_plain<S>(
        &self,
        stream: S,
        origin: Origin,
        permit: &ConnectionPermit,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let responder = self.responder(origin, permit);
        let protocol = Protocol::Either;
        connection::serve(stream, protocol, self.limits(), &responder, &self.draining).await
    }

    /// Returns the bounds on one connection. Connections that were opened together do not reach
    /// their greatest age together.
    fn limits(&self) -> ConnectionLimits<'_> {
        let limits = ConnectionLimits::from(&*self.shared.server);
        ConnectionLimits {
            max_age: limits
                .max_age
                .map(|age| age.mul_f64(rand::random_range(AGE_JITTER))),
            ..limits
        }
    }

    fn responder<'a>(
        &'a self,
        origin: Origin,
        permit: &'a ConnectionPermit,
    ) -> ClientResponder<'a, A> {
        ClientResponder {
            shared: &self.shared,
            permit,
            address: origin.address.ip(),
            is_proxy: origin.is_proxy,
            certificate: None,
            http2: Cell::new(None),
            http2_open: Cell::default(),
            connection: A::Connection::default(),
        }
    }
}
