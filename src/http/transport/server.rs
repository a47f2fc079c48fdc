//! The listener: accepts connections, hands them to the serving threads in turn, and drains.
//!
//! It reads nothing of a connection. Each serving thread has a runtime of its own, so that a
//! connection stays on one core and its tasks need no locks.

use std::future::Future;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::application::Application;
use super::draining::Draining;
use super::probe::Probe;
use super::proxies;
use super::shared::Shared;
use super::thread::{Accepted, Message, Thread};
use crate::config;
use crate::telemetry::{Limit, Metrics};
use crate::threads::all_ended;
use crate::tls::LiveTls;

/// The wait after `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener with its serving threads.
pub struct Server<A> {
    listener: StdListener,
    shared: Arc<Shared<A>>,
    draining: Draining,
    threads: Vec<(mpsc::UnboundedSender<Message>, JoinHandle<()>)>,
}

impl<A: Application> Server<A> {
    /// Starts the serving threads. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// The operating system's, if it denies a thread or a runtime.
    pub fn new(
        listener: StdListener,
        server: &Arc<config::Server>,
        tls: Option<&Arc<LiveTls>>,
        application: &Arc<A>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let draining = Draining::default();
        let shared = Arc::new(Shared::new(server, tls, application, metrics));
        let threads = (0..server.threads)
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
            shared,
            draining,
            threads,
        })
    }

    /// Returns the signal that [`run`](Self::run) and [`drain`](Self::drain) give.
    pub fn draining(&self) -> Draining {
        self.draining.clone()
    }

    /// Returns a probe of the serving threads.
    pub fn probe(&self) -> Probe {
        Probe::new(self.threads.iter().map(|(sender, _)| sender))
    }

    /// Accepts until `shutdown`, and for `delay` from then on, in which each connection's next answer
    /// is its last. What `shutdown` returns ends the delay early.
    ///
    /// # Errors
    /// The operating system's, if the listener cannot be polled.
    pub async fn run<H: Future<Output = ()>>(
        &mut self,
        shutdown: impl Future<Output = H>,
        delay: Duration,
    ) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let stop = async {
            let hurry = shutdown.await;
            self.draining.announce();
            if !delay.is_zero() {
                tracing::info!(?delay, "leaving");
                // It does not matter which ends it.
                let _ = tokio::time::timeout(delay, hurry).await;
            }
        };
        tokio::select! {
            () = self.accept(&listener) => {}
            () = stop => {}
        }
        // Clients may have sent requests on those that the kernel has taken: without an end of their
        // own they would be reset.
        let _ = tokio::time::timeout(Duration::ZERO, self.accept(&listener)).await;
        Ok(())
    }

    async fn accept(&self, listener: &TcpListener) {
        let mut next = (0..self.threads.len()).cycle();
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // A client beyond its own bound has no other one make room for it. Behind a proxy, it is
            // not known yet.
            let peer_permit = if proxies::is_proxy(&self.shared.server, peer.ip()) {
                None
            } else {
                let Some(permit) = self.shared.peers.try_acquire(peer.ip()) else {
                    self.reject(stream, Limit::ConnectionsPerPeer);
                    continue;
                };
                Some(permit)
            };
            let Some(permit) = self.shared.connections.acquire().await else {
                self.reject(stream, Limit::Connections);
                continue;
            };
            // Answers are small and written at once: waiting to fill a segment would only delay
            // them.
            let _ = stream.set_nodelay(true);
            if let (Ok(stream), Some(index)) = (stream.into_std(), next.next()) {
                // A thread that is gone has panicked out of its runtime; its connections end with
                // it.
                let _ = self.threads[index].0.send(Message::Connection(Accepted {
                    stream,
                    peer,
                    peer_permit,
                    permit,
                }));
            }
        }
    }

    fn reject(&self, stream: TcpStream, limit: Limit) {
        self.shared.metrics.reached(limit);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.reject(stream).await });
    }

    /// Closes the listener and idle connections, lets requests under way finish until `deadline`,
    /// and ends the threads. Returns whether all connections have ended by then.
    pub fn drain(self, deadline: Instant) -> bool {
        drop(self.listener);
        self.draining.begin();
        let (senders, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(senders);
        all_ended(&threads, deadline)
    }
}
