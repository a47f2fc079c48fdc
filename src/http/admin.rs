//! The admin listener: liveness, readiness and metrics. Meant for loopback or a private network; it
//! knows no users.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Application, ConnectionLimits, Protocol};
use super::draining::Draining;
use super::response::{Answer, Refusal, json};
use crate::telemetry::Endpoint;
use crate::threads::all_ended;

/// Connections at once; those beyond wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long the listener's end is waited for.
const STOP_TIME: Duration = Duration::from_secs(1);
/// The wait after `accept` failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const LIMITS: ConnectionLimits = ConnectionLimits {
    header_time: Duration::from_secs(10),
    idle_time: Duration::from_mins(2),
    request_time: Duration::from_mins(1),
    write_time: Duration::from_secs(30),
    header_size: 8192,
    headers: None,
    http2: None,
};

/// What `/readyz` says. Ready is an empty list of reasons.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether traffic is welcome.
    pub ready: bool,
    /// Why it is not: `draining`, or a topic, its sink and the sink's own words.
    pub reasons: Vec<String>,
}

/// What the admin listener asks of the gateway.
pub trait State {
    /// Whether traffic is welcome, and if not, why.
    fn readiness(&self) -> Readiness;
    /// All metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;
}

/// The admin listener, on a thread of its own: it answers while the gateway is at its busiest, and
/// while it drains.
pub struct Admin {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Serves `state` on `listener`.
    ///
    /// # Errors
    /// The operating system's, of a thread or a runtime that it does not give.
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
                let serve = serve(listener, Rc::new(state));
                LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    Err(error) = serve => tracing::error!(%error, "the admin listener has ended"),
                    () = stopped.cancelled() => {}
                }
            });
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

async fn serve(listener: StdListener, state: Rc<impl State + 'static>) -> io::Result<Infallible> {
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
        let pages = Pages(Rc::clone(&state));
        tokio::task::spawn_local(async move {
            // Who asks for a page and goes away has nobody to be told.
            let _ = connection::serve(
                stream,
                Protocol::Http1,
                LIMITS,
                &pages,
                &Draining::default(),
            )
            .await;
            drop(permit);
        });
    }
}

struct Pages<S>(Rc<S>);

impl<S: State> Application for Pages<S> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let page = match path.strip_suffix('/').unwrap_or(path) {
            "/livez" => json(StatusCode::OK, &serde_json::json!({"alive": true})),
            "/readyz" => {
                let readiness = self.0.readiness();
                let status = if readiness.ready {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                json(status, &readiness)
            }
            "/metrics" => metrics(self.0.metrics()),
            _ => return Refusal::NotFound.into_answer(Endpoint::Other),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return page;
        }
        Refusal::MethodNotAllowed { allow: "GET, HEAD" }.into_answer(Endpoint::Other)
    }
}

fn metrics(text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, format);
    answer
}
