//! The admin listener: liveness, readiness, metrics and pages for operators, on a thread of its own.
//!
//! It answers while the gateway is at its busiest, and while it drains. Probes need no log-in; what
//! shows or changes more asks for a superadmin, unless only this machine reaches the listener. It is
//! no part of the public API.
//!
//! Each connection is for one request, and none waits for another (see `places`).

mod access;
mod answer;
pub mod console;
mod head;
mod html;
mod inbound;
mod login;
mod openapi;
mod pages;
mod places;
mod refusal;
mod return_path;
mod screens;

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::http::transport::connection::{self, ConnectionLimits, Protocol};
use crate::http::transport::{Draining, tls};
use crate::threads::all_ended;
use crate::tls::LiveTls;
pub use access::Access;
use pages::{Page, Pages};
pub use pages::{Readiness, State};
use places::Places;

/// The time that the end of the thread is waited for.
const STOP_TIME: Duration = Duration::from_secs(1);
/// The wait after `accept` failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The time of a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
const LIMITS: ConnectionLimits<'_> = ConnectionLimits {
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_mins(2),
    request_timeout: Duration::from_mins(1),
    max_age: None,
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
    /// Serves the pages of `state` on `listener` to those whom `access` lets in, over TLS if there is
    /// a certificate.
    ///
    /// # Errors
    /// The operating system's, if it denies a thread or a runtime.
    pub fn start(
        listener: StdListener,
        tls: Option<Arc<LiveTls>>,
        access: Access,
        state: impl State + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                let pages = Rc::new(Pages::new(state, access));
                let serve = async {
                    tokio::select! {
                        Err(error) = serve(listener, tls, pages) => {
                            tracing::error!(%error, "the admin listener has ended");
                        }
                        () = stopped.cancelled() => {}
                    }
                };
                LocalSet::new().block_on(&runtime, serve);
                // Only abandoned password hashes can still be running.
                runtime.shutdown_background();
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
    tls: Option<Arc<LiveTls>>,
    pages: Rc<Pages<impl State + 'static>>,
) -> io::Result<Infallible> {
    let listener = TcpListener::from_std(listener)?;
    let mut places = Places::default();
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let seat = places.take(peer.ip());
        let page = Page::new(&pages, peer.ip(), seat.occupant());
        let tls = tls.clone();
        let task = tokio::task::spawn_local(async move {
            // A client that disconnects cannot receive the error.
            let _ = serve_one(stream, tls.as_deref(), &page).await;
        });
        places.add(seat, task.abort_handle());
        // Who gave way closes its connection when its task runs: a flood must not keep it from that.
        tokio::task::yield_now().await;
    }
}

async fn serve_one(
    stream: TcpStream,
    tls: Option<&LiveTls>,
    page: &Page<impl State + 'static>,
) -> io::Result<()> {
    let draining = Draining::default();
    let Some(tls) = tls else {
        return connection::serve(stream, Protocol::Http1, LIMITS, page, &draining).await;
    };
    let stream = tls::accept(stream, tls, false, HANDSHAKE_TIME)
        .await?
        .stream;
    connection::serve(stream, Protocol::Http1, LIMITS, page, &draining).await
}
