//! A connection over HTTP/2 (RFC 9113).
//!
//! Its requests are served inside its own task, so that all of them end when it does, and nothing
//! that they hold outlives it.
//!
//! hyper and h2 bound what a client may do within a connection: streams, windows, the size of a
//! head and of its CONTINUATION frames, resets, empty and tiny DATA frames. They also stop reading
//! while the client does not read acknowledgements. The time of a stream is bounded here; frames
//! while no request is open are bounded by the deadlines.

mod requests;

use std::error::Error;
use std::future::{self, Future};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::ending::{CLOSING_TIME, cut_off, told_to_close};
use super::linger::discard;
use super::responder::Responder;
use super::socket::{Phase, Socket};
use crate::config;
use crate::http::transport::draining::Draining;
use crate::telemetry::Limit;
use requests::Requests;

/// A preface of the server (SETTINGS with nothing in it), and GOAWAY with the error
/// `HTTP_1_1_REQUIRED` (RFC 9113, section 7).
const HTTP_1_1_REQUIRED: &[u8; 26] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d";

/// Serves the connection, as [`serve`](super::serve) does. A client that is late or idle, whose
/// connection has its greatest age, or whose gateway is to stop, is told to go (GOAWAY) before the connection ends, so that it
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
    let requests = Requests::new(responder);
    // Unbounded, but it never holds more than the streams that may be open.
    let (sender, arriving) = mpsc::unbounded_channel();
    let service = service_fn(|request| Box::pin(requests.answer(request)));
    let streams = Streams {
        sender,
        time: limits.request_timeout,
        responder,
    };
    let builder = builder(streams, limits.max_header, http2);
    let protocol = pin!(builder.serve_connection(TokioIo::new(socket.clone()), service));
    let mut connection = pin!(Connection {
        socket,
        protocol,
        arriving,
        open: FuturesUnordered::new(),
        discarded: FuturesUnordered::new(),
        requests: &requests,
        last_request: deadlines.last_request,
        draining,
    });
    let ended = tokio::select! {
        biased;
        ended = deadlines.bound(connection.as_mut()) => Ok(ended),
        // GOAWAY says which requests were never begun.
        time = told_to_close(draining, responder, || true) => Err(time),
        // Looked at whenever the connection has been polled.
        () = future::poll_fn(|_| ready_if(requests.has_last.get())) => Err(CLOSING_TIME),
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
    tokio::select! {
        biased;
        ended = deadlines.bound(connection) => ended?.map_err(|error| failed(error, responder)),
        // Answers that the client does not take, and rests of bodies, are lost.
        () = cut_off(responder) => Ok(()),
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
    protocol: C,
    arriving: mpsc::UnboundedReceiver<LocalBoxFuture<'a, ()>>,
    /// Requests that are being answered, and answers that the client has not taken.
    open: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    /// Rests of answered requests, which are read and dropped.
    discarded: FuturesUnordered<LocalBoxFuture<'a, ()>>,
    requests: &'a Requests<'a, R>,
    /// The time from which on the next request is the last.
    last_request: Option<Instant>,
    /// Makes the next request the last, too, once it is announced.
    draining: &'a Draining,
}

impl<S, R, C> Connection<'_, S, R, C> {
    /// Whether a request that comes now is the last.
    fn is_last(&self) -> bool {
        self.draining.is_announced() || self.last_request.is_some_and(|last| last <= Instant::now())
    }
}

impl<S, R, C: Future + Unpin> Future for Connection<'_, S, R, C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = &mut *self;
        let mut was_in_use = !this.open.is_empty() || !this.discarded.is_empty();
        let ended = Pin::new(&mut this.protocol).poll(context);
        let mut arrived = false;
        while let Ok(stream) = this.arriving.try_recv() {
            arrived = true;
            this.open.push(stream);
        }
        was_in_use |= arrived;
        if arrived && this.is_last() {
            this.requests.has_last.set(true);
        }
        while let Poll::Ready(Some(())) = this.open.poll_next_unpin(context) {}
        for rest in this.requests.rests.take() {
            this.discarded.push(Box::pin(discard(rest)));
        }
        while let Poll::Ready(Some(())) = this.discarded.poll_next_unpin(context) {}
        if !this.open.is_empty() || !this.discarded.is_empty() {
            this.socket.enter(Phase::Streams);
        } else if was_in_use {
            this.socket.enter(Phase::Quiet(Instant::now()));
        }
        ended
    }
}
