//! A serving thread: its runtime, and the connections that it is handed.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::application::Application;
use super::connection::{self, ConnectionLimits, Protocol};
use super::draining::Draining;
use super::proxies;
use super::responder::ClientResponder;
use super::shared::Shared;
use super::tls::{self, Secured};
use crate::telemetry::Limit;
use crate::tls::LiveTls;

/// I/O events that a runtime handles before it polls for more. With few, each of many connections
/// is answered while its memory is still in the caches.
const EVENTS: usize = 8;

/// A connection on its way to a serving thread.
pub(super) struct Accepted {
    pub(super) stream: StdStream,
    pub(super) peer: SocketAddr,
    pub(super) permit: OwnedSemaphorePermit,
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
                // Only abandoned password hashes can still be running.
                runtime.shutdown_background();
            })
    }

    /// Serves the connections of `receiver` until its sender is gone and all have ended.
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
        let client = tokio::select! {
            biased;
            client = proxies::client_of_connection(server, &mut stream, peer) => client,
            // The client is not known yet, so nothing of a request has come.
            () = self.draining.begun() => return,
        };
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                metrics.reached(Limit::ProxyHeader);
                metrics.connection_failed();
                return tracing::debug!(%error, %peer, "no header of the PROXY protocol");
            }
        };
        let is_proxy = proxies::contain(&server.proxies, client.ip());
        // Any number of clients may be behind a proxy that has not told the client's address yet.
        let peer_permit = (!is_proxy).then(|| peers.try_acquire(client.ip()));
        if let Some(None) = peer_permit {
            metrics.reached(Limit::ConnectionsPerPeer);
            drop((open, permit));
            return self.shared.reject(stream).await;
        }
        if let Err(error) = self.serve_stream(stream, client.ip(), is_proxy).await {
            metrics.connection_failed();
            tracing::debug!(%error, peer = %client, "connection failed");
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
            server,
            http2_connections,
            metrics,
            ..
        } = &*self.shared;
        // A client that is not offered HTTP/2 speaks HTTP/1.1 as well.
        let http2 = http2_connections.try_acquire().ok();
        let secured = tokio::select! {
            biased;
            secured = tls::accept(stream, tls, http2.is_some(), server.header_timeout) => secured,
            // Nothing of a request has come.
            () = self.draining.begun() => return Ok(()),
        };
        let Secured {
            stream,
            protocol,
            certified,
            thumbprint,
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
            certified,
            thumbprint,
            http2: Cell::new(http2),
            ..self.responder(address, is_proxy)
        };
        let limits = ConnectionLimits::from(&**server);
        connection::serve(stream, protocol, limits, &responder, &self.draining).await
    }

    /// Serves a connection without TLS, over a stream of any kind.
    pub(crate) async fn serve_plain<S>(
        &self,
        stream: S,
        address: IpAddr,
        is_proxy: bool,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let responder = self.responder(address, is_proxy);
        let limits = ConnectionLimits::from(&*self.shared.server);
        connection::serve(stream, Protocol::Either, limits, &responder, &self.draining).await
    }

    fn responder(&self, address: IpAddr, is_proxy: bool) -> ClientResponder<'_, A> {
        ClientResponder {
            shared: &self.shared,
            address,
            is_proxy,
            certified: None,
            thumbprint: None,
            http2: Cell::new(None),
            connection: A::Connection::default(),
        }
    }
}
