//! One client's connection: which version of HTTP it speaks, its time limits, and an end that lets
//! the client read the last answer.
//!
//! hyper's own header timeout also runs while a connection is idle, and ours must stay open for
//! minutes then, so the limits are kept here. The socket notes where the connection stands, for
//! which it looks at the clock twice a request; `watch` bounds its time by that. A request's time
//! counts from the first byte of its head.

mod http2;
mod preface;
mod watch;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use super::draining::Draining;
use super::response::Answer;
use crate::telemetry::Limit;
pub use http2::Http2Limits;
use preface::Preface;
use watch::Watch;

/// How long, once draining, a client may take to read its last answer, or to send the rest of a
/// request's head.
const HURRY_TIME: Duration = Duration::from_secs(2);
/// How long, and how much, is still read from a client after the last answer, so that the answer
/// reaches it and not a reset (RFC 9112, section 9.6).
const LINGER_TIME: Duration = Duration::from_secs(5);
const LINGER_TIME_DRAINING: Duration = Duration::from_millis(500);
const LINGER_SIZE: usize = 64 * 1024 * 1024;

/// Bounds on one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// From the first byte of a request's head to its last.
    pub(super) header_time: Duration,
    /// Between an answer and the next request's first byte.
    pub(super) idle_time: Duration,
    /// From a request's first byte to its answer's last.
    pub(super) request_time: Duration,
    /// In which a client takes nothing of what it is sent.
    pub(super) write_time: Duration,
    /// Bytes of a request's head.
    pub(super) header_size: usize,
    /// Headers for which room has to be made. Without it there are 100, at no cost.
    pub(super) headers: Option<usize>,
    /// Over HTTP/2; without these it is not served.
    pub(super) http2: Option<Http2Limits>,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1, and HTTP/1.0.
    Http1,
    /// HTTP/2, as was agreed on beforehand.
    Http2,
    /// What its first bytes say (RFC 9113, section 3.3).
    Either,
}

/// What answers requests. It cannot fail: whatever happens is an answer.
pub(super) trait Application {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Answer;

    /// Whether the connection may go on in HTTP/2.
    fn takes_http2(&self) -> bool {
        true
    }

    /// The connection has reached a limit.
    fn reached(&self, _limit: Limit) {}
}

/// Serves one connection until it ends, or, once `draining`, until the requests that are under way
/// are answered.
///
/// # Errors
/// The connection broke off, was late with a request or with reading an answer, or did not speak
/// HTTP; what can be answered then, hyper has answered.
pub(super) async fn serve<S>(
    stream: S,
    protocol: Protocol,
    limits: ConnectionLimits,
    application: &impl Application,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream);
    let mut watch = Watch::new(socket.clone(), limits, application);
    let mut http2 = limits.http2.filter(|_| protocol != Protocol::Http1);
    if http2.is_some() && protocol == Protocol::Either {
        let mut preface = pin!(preface::read(&socket));
        tokio::select! {
            biased;
            is_http2 = watch.over(preface.as_mut()) => {
                let is_http2 = is_http2??;
                http2 = http2.filter(|_| is_http2);
            }
            // Nothing of a request has come.
            () = draining.begun() => return Ok(()),
        }
    }
    let ended = match http2 {
        Some(_) if !application.takes_http2() => http2::refuse(&mut socket.clone()).await,
        // Boxed: a connection is as large as the largest of what it may become, and most become
        // another.
        Some(http2) => Box::pin(http2::serve(socket.clone(), watch, http2, draining)).await,
        None => serve_http1(&socket, watch, draining).await,
    };
    let time = if draining.has_begun() {
        LINGER_TIME_DRAINING
    } else {
        LINGER_TIME
    };
    let _ = tokio::time::timeout(time, linger(socket)).await;
    ended
}

async fn serve_http1<S>(
    socket: &Socket<S>,
    mut watch: Watch<'_, S, impl Application>,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (phases, application) = (socket.clone(), watch.application);
    let service = service_fn(async |request| {
        phases.begin_answer();
        let answer = application.answer(request).await;
        phases.enter(Phase::Idle(Instant::now()));
        Ok::<_, Infallible>(answer)
    });
    let mut http1 = http1::Builder::new();
    http1
        .title_case_headers(true)
        .max_buf_size(watch.limits.header_size)
        .header_read_timeout(None)
        // A client may end its side once it has sent its request, and still reads the answer.
        .half_close(true);
    if let Some(headers) = watch.limits.headers {
        http1.max_headers(headers);
    }
    let mut connection = pin!(http1.serve_connection(TokioIo::new(socket.clone()), service));
    let ended = tokio::select! {
        biased;
        ended = watch.over(connection.as_mut()) => Some(ended),
        () = draining.begun() => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        watch.hurry();
        watch.over(connection.as_mut()).await
    };
    ended?.map_err(|error| {
        if let Some(limit) = socket.limit_of(&error, watch.limits.header_size) {
            application.reached(limit);
        }
        io::Error::other(error)
    })
}

/// Ends the writing side, then reads and drops what still comes.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    // Over HTTP/2 it has ended before.
    let _ = stream.shutdown().await;
    let mut rest = [0; 4096];
    let mut size = 0;
    while size < LINGER_SIZE {
        match stream.read(&mut rest).await? {
            0 => break,
            length => size += length,
        }
    }
    Ok(())
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Since then, nothing of the next request has come.
    Idle(Instant),
    /// Since then, no request has come over HTTP/2, whatever else has.
    Quiet(Instant),
    /// As that, and none has come before.
    Silent(Instant),
    /// Since then, a request's head has been coming.
    Head(Instant),
    /// A request is being answered; its body's time is bounded where it is read.
    Answering,
    /// Requests over HTTP/2 are being answered; the time of each is bounded by itself.
    Streams,
}

/// The socket as hyper sees it, which notes where the connection stands. Cloned, so that it
/// outlives hyper's connection for the lingering close.
struct Socket<S>(Rc<RefCell<Noted<S>>>);

struct Noted<S> {
    stream: S,
    phase: Phase,
    /// What was read before it was known which version it is.
    preface: Preface,
    /// When the first byte of the last request came.
    request: Instant,
    /// Bytes that came since the last answer was made; over HTTP/2, since no request was open.
    came: usize,
    /// Since when the client has taken nothing of what is to be written.
    stalled: Option<Instant>,
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Socket<S> {
    fn new(stream: S) -> Self {
        // The first request is due at once: nobody connects to stay silent for minutes.
        let now = Instant::now();
        Self(Rc::new(RefCell::new(Noted {
            stream,
            phase: Phase::Head(now),
            preface: Preface::default(),
            request: now,
            came: 0,
            stalled: None,
        })))
    }

    fn enter(&self, phase: Phase) {
        let mut noted = self.0.borrow_mut();
        noted.phase = phase;
        noted.came = 0;
    }

    /// When the connection has been opened, as long as no request has come.
    fn begun(&self) -> Instant {
        self.0.borrow().request
    }

    /// The head of a request is there.
    fn begin_answer(&self) {
        let mut noted = self.0.borrow_mut();
        if let Phase::Idle(since) = noted.phase {
            // It came along with the one before.
            noted.request = since;
        }
        noted.phase = Phase::Answering;
    }

    /// The limit for which hyper has refused a head. It does not say whether the headers were too
    /// many or too long; what has come of them does, but for what came along with the request
    /// before.
    fn limit_of(&self, error: &hyper::Error, header_size: usize) -> Option<Limit> {
        let too_large = if self.0.borrow().came < header_size {
            Limit::HeaderCount
        } else {
            Limit::HeaderSize
        };
        let is_uri = error.to_string() == "URI too long";
        error
            .is_parse_too_large()
            .then_some(if is_uri { Limit::Uri } else { too_large })
    }

    /// Whether the client takes nothing of what is to be written.
    fn is_stalled(&self) -> bool {
        self.0.borrow().stalled.is_some()
    }

    /// A call of the stream, with whether the client takes what is written noted.
    fn note_write<T>(
        &self,
        call: impl FnOnce(&mut S) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let noted = &mut *self.0.borrow_mut();
        let result = call(&mut noted.stream);
        if result.is_ready() {
            noted.stalled = None;
        } else {
            noted.stalled.get_or_insert_with(Instant::now);
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let noted = &mut *self.0.borrow_mut();
        let before = buffer.filled().len();
        let result = if noted.preface.replay(buffer) {
            // With whatever came behind it: for a second read hyper would double its buffer. An
            // error comes up again as an end of the stream.
            let _ = Pin::new(&mut noted.stream).poll_read(context, buffer);
            Poll::Ready(Ok(()))
        } else {
            Pin::new(&mut noted.stream).poll_read(context, buffer)
        };
        let length = buffer.filled().len() - before;
        noted.came += length;
        if matches!(noted.phase, Phase::Idle(_)) && length > 0 {
            noted.request = Instant::now();
            noted.phase = Phase::Head(noted.request);
        }
        result
    }
}

/// Not vectored: answers are small, and one buffer is cheaper for the kernel to take than two.
impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.note_write(|stream| Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note_write(|stream| Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(context)
    }
}
