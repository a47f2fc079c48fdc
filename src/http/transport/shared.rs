//! The state that all serving threads share: the application, the configuration, the budgets.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::application::Application;
use super::connection;
use super::connection_budget::ConnectionBudget;
use super::fair_permits::FairPermits;
use super::peers::PeerBudget;
use crate::config;
use crate::telemetry::Metrics;
use crate::tls::LiveTls;

/// Rejected connections that get an answer at one time. Those beyond are closed without one.
const REJECTIONS_MAX: usize = 64;
/// The time that a rejected client has to read its answer.
const REJECTION_TIME: Duration = Duration::from_secs(2);

/// The state of all serving threads.
pub struct Shared<A> {
    pub(crate) application: Arc<A>,
    pub(super) server: Arc<config::Server>,
    pub(super) tls: Option<Arc<LiveTls>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: Arc<ConnectionBudget>,
    pub(super) peers: Arc<PeerBudget>,
    /// Permits for connections over HTTP/2, which cost more than others.
    pub(super) http2_connections: FairPermits,
    /// Permits for requests over HTTP/2, of which a connection has many.
    pub(crate) http2_requests: FairPermits,
    /// Permits for answers to rejected connections.
    rejections: Semaphore,
}

impl<A: Application> Shared<A> {
    /// Nothing is opened or started here.
    pub fn new(
        server: &Arc<config::Server>,
        tls: Option<&Arc<LiveTls>>,
        application: &Arc<A>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let config::Http2 {
            enabled,
            max_connections,
            max_requests,
            ..
        } = server.http2;
        Self {
            application: Arc::clone(application),
            server: Arc::clone(server),
            tls: tls.cloned(),
            metrics: Arc::clone(metrics),
            connections: ConnectionBudget::new(server.max_connections, metrics),
            peers: PeerBudget::new(server),
            http2_connections: FairPermits::new(if enabled { max_connections } else { 0 }),
            http2_requests: FairPermits::new(if enabled { max_requests } else { 0 }),
            rejections: Semaphore::new(REJECTIONS_MAX),
        }
    }

    /// Tells a client that there are too many connections, unless too many clients are being told
    /// so already. Over TLS it closes the connection without an answer: a handshake is too
    /// expensive.
    pub(super) async fn reject(&self, mut stream: TcpStream) {
        let Ok(_permit) = self.rejections.try_acquire() else {
            return;
        };
        if self.tls.is_some() {
            return;
        }
        let _ = tokio::time::timeout(REJECTION_TIME, async {
            stream.write_all(A::TOO_MANY_CONNECTIONS).await?;
            connection::linger(stream).await
        })
        .await;
    }
}
