//! The admin listener: liveness, readiness, metrics and a page of the OpenAPI document, on a thread
//! of its own.
//!
//! It answers while the gateway is at its busiest, and while it drains. It is meant for loopback or
//! a private network: it knows no users, and is no part of the public API.
//!
//! Each connection is for one request. None waits for another: beyond the most connections the
//! oldest is closed, one that has asked nothing first.

mod openapi;
mod pages;

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, LocalSet};
use tokio_util::sync::CancellationToken;

use crate::http::transport::Draining;
use crate::http::transport::connection::{self, ConnectionLimits, Protocol};
use crate::threads::all_ended;
use pages::{Page, Pages};
pub use pages::{Readiness, State};

/// Connections at once. One more closes the oldest.
const CONNECTIONS_MAX: usize = 64;
/// The time that the end of the thread is waited for.
const STOP_TIME: Duration = Duration::from_secs(1);
/// The wait after `accept` failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
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
    let mut connections = Connections::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        connections.make_room();
        let page = Page::new(&pages);
        let has_asked = page.has_asked();
        let task = tokio::task::spawn_local(async move {
            let draining = Draining::default();
            // A client that disconnects cannot receive the error.
            let _ = connection::serve(stream, Protocol::Http1, LIMITS, &page, &draining).await;
        });
        connections.0.push_back(Connection {
            has_asked,
            task: task.abort_handle(),
        });
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

struct Connection {
    has_asked: Rc<Cell<bool>>,
    task: AbortHandle,
}

impl Connections {
    /// Closes a connection if there is no room for another: the oldest that has asked nothing, else
    /// the oldest.
    fn make_room(&mut self) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() < CONNECTIONS_MAX {
            return;
        }
        let oldest_idle = self.0.iter().position(|open| !open.has_asked.get());
        if let Some(closed) = self.0.remove(oldest_idle.unwrap_or_default()) {
            closed.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens as many connections as there may be, of which the first `asked` have asked.
    fn full(asked: usize) -> Connections {
        let open = (0..CONNECTIONS_MAX).map(|number| Connection {
            has_asked: Rc::new(Cell::new(number < asked)),
            task: tokio::spawn(std::future::pending::<()>()).abort_handle(),
        });
        Connections(open.collect())
    }

    /// Returns which of the connections is closed for another.
    async fn closed(mut connections: Connections) -> Option<usize> {
        let tasks: Vec<_> = connections.0.iter().map(|open| open.task.clone()).collect();
        connections.make_room();
        assert_eq!(connections.0.len(), CONNECTIONS_MAX - 1);
        tokio::task::yield_now().await;
        tasks.iter().position(AbortHandle::is_finished)
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_gives_way_else_the_oldest() {
        assert_eq!(closed(full(0)).await, Some(0));
        assert_eq!(closed(full(5)).await, Some(5));
        assert_eq!(closed(full(CONNECTIONS_MAX)).await, Some(0));
    }

    #[tokio::test]
    async fn nobody_gives_way_where_there_is_room() {
        let mut connections = full(0);
        let ended = connections.0[7].task.clone();
        ended.abort();
        tokio::task::yield_now().await;
        connections.make_room();
        assert_eq!(connections.0.len(), CONNECTIONS_MAX - 1);
        assert!(connections.0.iter().all(|open| !open.task.is_finished()));
    }
}
