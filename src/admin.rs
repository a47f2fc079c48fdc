//! The admin listener: liveness, readiness and metrics, on a thread of its own.
//!
//! It answers while the gateway is at its busiest, and while it drains. It is meant for loopback or
//! a private network: it knows no users, and is no part of the public API.

mod pages;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::http::transport::Draining;
use crate::http::transport::connection::{self, ConnectionLimits, Protocol};
use crate::threads::all_ended;
use pages::Pages;
pub use pages::{Readiness, State};

/// Connections at once; those beyond wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// The time that the end of the thread is waited for.
const STOP_TIME: Duration = Duration::from_secs(1);
/// The wait after `accept` failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const LIMITS: ConnectionLimits<'_> = ConnectionLimits {
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_mins(2),
    request_timeout: Duration::from_mins(1),
    write_timeout: Duration::from_secs(30),
    max_header: 8192,
    max_headers: 100,
    http2: None,
};

/// The admin listener's thread.
pub struct Admin {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Serves the pages of `state` on `listener`.
    ///
    /// # Errors
    /// The operating system's, if it denies a thread or a runtime.
    pub fn start(listener: StdListener, state: impl State + Send + 'static) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let pages = Rc::new(Pages(state));
                let serve = async {
                    tokio::select! {
                        Err(error) = serve(listener, pages) => {
                            tracing::error!(%error, "the admin listener has ended");
                        }
                        () = stopped.cancelled() => {}
                    }
                };
                LocalSet::new().block_on(&runtime, serve);
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends the listener and its connections.
    pub fn stop(self) {
        self.stop.cancel();
        // A page that hangs is left behind: the process is about to end.
        all_ended([&self.thread], Instant::now() + STOP_TIME);
    }
}

async fn serve(
    listener: StdListener,
    pages: Rc<Pages<impl State + 'static>>,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&permits)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let pages = Rc::clone(&pages);
        tokio::task::spawn_local(async move {
            let draining = Draining::default();
            // A client that disconnects cannot receive the error.
            let _ = connection::serve(stream, Protocol::Http1, LIMITS, &*pages, &draining).await;
            drop(permit);
        });
    }
}
