//! A connection over HTTP/2 (RFC 9113).
//!
//! Its requests are served inside its own task, so that all of them end when it does, and nothing
//! that they hold outlives it.
//!
//! hyper and h2 bound what a client may do within a connection: streams, windows, the size of a
//! head and of its CONTINUATION frames, resets, empty and tiny DATA frames. They also stop reading
//! while the client does not read acknowledgements. The time of a stream is bounded here; frames
//! while no request is open are bounded by the deadlines.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::future::{self, Future};
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

use super::deadlines::Deadlines;
use super::ending::{CLOSING_TIME, close, told_to_close};
use super::linger::discard;
use super::responder::Responder;
use super::socket::{Phase, Socket};
use crate::config;
use crate::http::transport::application::{Answer, Reply};
use crate::http::transport::draining::Draining;
use crate::telemetry::Limit;

/// A preface of the server (SETTINGS with nothing in it), and GOAWAY with the error
/// `HTTP_1_1_REQUIRED` (RFC 9113, section 7).
const HTTP_1_1_REQUIRED: &[u8; 26] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d";

/// Serves the connection, as [`serve`](super::serve) does. A client that is late or idle, or whose
/// connection has its greatest age, is told to go (GOAWAY) before the connection ends, so that it
/// knows which requests were never begun.
pub(super) async fn serve<S>(
    socket: &Socket<S>,
    mut deadlines: Deadlines<'_, S, impl Responder>,
    http2: &config::Http2,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = deadlines.limits;
    let responder = deadlines.responder;
    let opened = socket.notes().request;
    socket.enter(Phase::Silent(opened));
    let rests = RefCell::default();
    let has_last_request = Cell::new(false);
    // Unbounded, but it never holds more than the streams that may be open.
    let (sender, arriving) = mpsc::unbounded_channel();
    let service =
        service_fn(|request| Box::pin(answer(responder, request, &rests, &has_last_request)));
    let streams = Streams {
        sender,
        time: limits.request_timeout,
        responder,
    };
    let builder = builder(streams, limits.max_header, http2);
    let protocol = pin!(builder.serve_connection(TokioIo::new(socket.clone()), service));
    let mut connection = pin!(Connection {
        socket,
        responder,
        protocol,
        arriving,
        open: FuturesUnordered::new(),
        rests: &rests,
        discarded: FuturesUnordered::new(),
        last_request: deadlines.last_request,
        has_last_request: &has_last_request,
    });
    let ended = tokio::select! {
        biased;
        ended = deadlines.bound(connection.as_mut()) => Ok(ended),
        time = told_to_close(draining, responder) => Err(time),
        // Looked at whenever the connection has been polled.
        () = future::poll_fn(|_| ready_if(has_last_request.get())) => Err(CLOSING_TIME),
    };
    let mut time = CLOSING_TIME;
    match ended {
        Ok(Ok(ended)) => return ended.map_err(|error| failed(error, responder)),
        // It reads no GOAWAY either.
        Ok(Err(late)) if socket.notes().stalled.is_some() => return Err(late),
        Ok(Err(_)) if connection.open.is_empty() => socket.enter(Phase::Quiet(Instant::now())),
        Ok(Err(_)) => {}
        Err(early) => time = early,
    }
    connection.protocol.as_mut().graceful_shutdown();
    deadlines.begin_closing(time);
    match close(deadlines.bound(connection), responder).await? {
        Some(ended) => ended.map_err(|error| failed(error, responder)),
        None => Ok(()),
    }
}

/// Returns a builder of connections with the configured limits.
fn builder<E>(executor: E, max_header: usize, http2: &config::Http2) -> http2::Builder<E> {
    let mut builder = http2::Builder::new(executor);
    builder
        .max_concurrent_streams(narrow(http2.max_streams))
        .initial_stream_window_size(narrow(http2.stream_window))
        .initial_connection_window_size(narrow(http2.connection_window))
        .max_header_list_size(narrow(max_header))
        .max_pending_accept_reset_streams(http2.max_pending_resets)
        .max_local_error_reset_streams(http2.max_error_resets);
    builder
}

fn ready_if(is_ready: bool) -> Poll<()> {
    if is_ready {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// Narrows a count to 32 bits. The configuration's own limits keep it below that.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Tells a client to use HTTP/1.1, before it has sent a request.
pub(super) async fn reject(socket: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    socket.write_all(HTTP_1_1_REQUIRED).await
}

/// Counts the abuse for which h2 has ended a connection; h2 has told the client.
fn failed(error: hyper::Error, responder: &impl Responder) -> io::Error {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<h2::Error>());
    if cause.is_some_and(|cause| {
        cause.is_library() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    }) {
        responder.reached(Limit::Http2Abuse);
    }
    io::Error::other(error)
}

/// Answers a request. Puts what has not been read of it into `rests`: dropped at once, it would reset
/// the stream as soon as the answer has been sent.
///
/// hyper would send the body of an answer to HEAD over HTTP/2, which must have none (RFC 9110,
/// section 9.3.2).
async fn answer(
    responder: &impl Responder,
    request: Request<Incoming>,
    rests: &RefCell<Vec<Incoming>>,
    has_last_request: &Cell<bool>,
) -> Result<Answer, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let Reply {
        mut answer,
        rest,
        is_last,
    } = responder.answer(request).await;
    rests.borrow_mut().extend(rest);
    if is_last {
        has_last_request.set(true);
    }
    if is_head && let Some(length) = answer.body().size_hint().exact() {
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        *answer.body_mut() = Full::new(Bytes::new());
    }
    Ok(answer)
}

/// An executor that hands the streams of hyper's connection to that connection's own task.
struct Streams<'a, R> {
    sender: mpsc::UnboundedSender<LocalBoxFuture<'a, ()>>,
    time: Duration,
    responder: &'a R,
}

impl<R> Clone for Streams<'_, R> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            ..*self
        }
    }
}

impl<'a, R: Responder, F: Future<Output = ()> + 'a> Executor<F> for Streams<'a, R> {
    fn execute(&self, stream: F) {
        // A stream that is late is dropped, which resets it.
        let stream = tokio::time::timeout(self.time, stream);
        let responder = self.responder;
        // The other end is gone only when the connection is.
        let _ = self.sender.send(Box::pin(async move {
            if stream.await.is_err() {
                responder.reached(Limit::RequestTime);
            }
        }));
    }
}

/// A future of hyper's connection and its streams.
struct Connection<'a, S, R, C> {
    socket: &'a Socket<S>,
    responder: &'a R,
    protocol: C,
    arriving: mpsc::UnboundedReceiver<LocalBoxFuture<'a, ()>>,
    /// Requests that are being answered.
    open: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    rests: &'a RefCell<Vec<Incoming>>,
    /// Rests of answered requests, which are read and dropped.
    discarded: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    /// The time from which on the next request is the last.
    last_request: Option<Instant>,
    has_last_request: &'a Cell<bool>,
}

impl<S, R: Responder, C: Future + Unpin> Future for Connection<'_, S, R, C> {
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
        if arrived && !were_open {
            this.responder.busy();
        }
        if arrived && this.last_request.is_some_and(|last| last <= Instant::now()) {
            this.has_last_request.set(true);
        }
        while let Poll::Ready(Some(())) = this.open.poll_next_unpin(context) {}
        let answered = (arrived || were_open) && this.open.is_empty();
        if answered {
            this.responder.idle(Instant::now());
        }
        let were_discarded = !this.discarded.is_empty();
        for rest in this.rests.take() {
            this.discarded.push(Box::pin(discard(rest)));
        }
        while let Poll::Ready(Some(())) = this.discarded.poll_next_unpin(context) {}
        if !this.open.is_empty() || !this.discarded.is_empty() {
            this.socket.enter(Phase::Streams);
        } else if answered || were_discarded {
            this.socket.enter(Phase::Quiet(Instant::now()));
        }
        ended
    }
}
