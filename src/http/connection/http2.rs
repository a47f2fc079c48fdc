//! A connection over HTTP/2 (RFC 9113). Its requests are served inside its own task, so that all of
//! them end when it does, and nothing that they hold outlives it.
//!
//! What a client may do within a connection is bounded by hyper and h2: streams, windows, the size
//! of a head and of its CONTINUATION frames, resets, empty and tiny DATA frames. Acknowledgements
//! that the client does not read stop the reading. What they leave open is bounded here: the time
//! of a stream, and frames while no request is open.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Application, Phase, Socket, Watch};
use crate::http::draining::Draining;
use crate::http::response::Answer;
use crate::telemetry::Limit;

/// Bytes of frames beyond a connection's window that may come while no request is open: pings and
/// settings of years.
pub(super) const UNASKED_MAX: usize = 1 << 20;

/// A preface of the server (SETTINGS with nothing in it) and GOAWAY with the error that says it
/// (RFC 9113, section 7).
const HTTP_1_1_REQUIRED: &[u8; 26] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d";

/// Bounds on a connection over HTTP/2.
#[derive(Clone, Copy, Debug)]
pub struct Http2Limits {
    /// Requests at once.
    pub streams_max: u32,
    /// Bytes of a body that have not been read.
    pub stream_window: u32,
    /// Bytes of all bodies that have not been read.
    pub connection_window: u32,
    /// Requests that the client has reset before they were begun.
    pub pending_resets_max: usize,
    /// Requests that were reset for the client's faults.
    pub error_resets_max: usize,
}

/// As [`serve`](super::serve), for a client that speaks HTTP/2. One that is late or idle is told to
/// go (GOAWAY) before the connection ends, so that it knows which requests were never begun.
pub(super) async fn serve<S>(
    socket: Socket<S>,
    mut watch: Watch<'_, S, impl Application>,
    limits: Http2Limits,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let application = watch.application;
    socket.enter(Phase::Silent(socket.begun()));
    // Unbounded, but it never holds more than the streams that may be open.
    let (sender, arriving) = mpsc::unbounded_channel();
    let service = service_fn(|request| Box::pin(answer(application, request)));
    let hyper = pin!(
        http2::Builder::new(Streams {
            sender,
            time: watch.limits.request_time,
            application
        })
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(u32::try_from(watch.limits.header_size).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.pending_resets_max)
        .max_local_error_reset_streams(limits.error_resets_max)
        .serve_connection(TokioIo::new(socket.clone()), service)
    );
    let open = FuturesUnordered::new();
    let mut connection = pin!(Connection {
        socket: &socket,
        protocol: hyper,
        arriving,
        open
    });
    let ended = tokio::select! {
        biased;
        ended = watch.over(connection.as_mut()) => Some(ended),
        () = draining.begun() => None,
    };
    match ended {
        Some(Ok(ended)) => return ended.map_err(|error| failed(error, application)),
        Some(Err(late)) if socket.is_stalled() => return Err(late),
        Some(Err(_)) if connection.open.is_empty() => socket.enter(Phase::Quiet(Instant::now())),
        Some(Err(_)) | None => {}
    }
    connection.protocol.as_mut().graceful_shutdown();
    watch.hurry();
    watch
        .over(connection)
        .await?
        .map_err(|error| failed(error, application))
}

/// Tells a client that HTTP/1.1 has to do, before it has asked for anything.
pub(super) async fn refuse(socket: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    socket.write_all(HTTP_1_1_REQUIRED).await
}

/// What h2 does not put up with it says to the client; here it is counted.
fn failed(error: hyper::Error, application: &impl Application) -> io::Error {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>());
    if cause.is_some_and(|cause| {
        cause.is_library() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    }) {
        application.reached(Limit::Http2Abuse);
    }
    io::Error::other(error)
}

/// hyper sends the body of an answer to HEAD over HTTP/2, which must have none (RFC 9110, section
/// 9.3.2).
async fn answer(
    application: &impl Application,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let mut answer = application.answer(request).await;
    if is_head && let Some(length) = answer.body().size_hint().exact() {
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        *answer.body_mut() = Full::new(Bytes::new());
    }
    Ok(answer)
}

/// Takes the streams that hyper would have run elsewhere.
struct Streams<'a, A> {
    sender: mpsc::UnboundedSender<LocalBoxFuture<'a, ()>>,
    time: Duration,
    application: &'a A,
}

impl<A> Clone for Streams<'_, A> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            ..*self
        }
    }
}

impl<'a, A: Application, F: Future<Output = ()> + 'a> Executor<F> for Streams<'a, A> {
    fn execute(&self, stream: F) {
        // A stream that is late is dropped, which resets it.
        let (stream, application) = (tokio::time::timeout(self.time, stream), self.application);
        // The other end is gone only when the connection is.
        let _ = self.sender.send(Box::pin(async move {
            if stream.await.is_err() {
                application.reached(Limit::RequestTime);
            }
        }));
    }
}

/// hyper's connection and its streams, as one future.
struct Connection<'a, S, C> {
    socket: &'a Socket<S>,
    protocol: C,
    arriving: mpsc::UnboundedReceiver<LocalBoxFuture<'a, ()>>,
    open: FuturesUnordered<LocalBoxFuture<'a, ()>>,
}

impl<S, C: Future + Unpin> Future for Connection<'_, S, C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = &mut *self;
        let were_open = !this.open.is_empty();
        let ended = Pin::new(&mut this.protocol).poll(context);
        let mut arrived = false;
        while let Ok(stream) = this.arriving.try_recv() {
            arrived = true;
            this.open.push(stream);
        }
        while let Poll::Ready(Some(())) = this.open.poll_next_unpin(context) {}
        if !this.open.is_empty() {
            this.socket.enter(Phase::Streams);
        } else if were_open || arrived {
            this.socket.enter(Phase::Quiet(Instant::now()));
        }
        ended
    }
}
