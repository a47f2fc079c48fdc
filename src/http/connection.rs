//! One client's connection: which version of HTTP it speaks, its time limits, and an end that lets the client read the
//! last answer.
//!
//! hyper's own header timeout also runs while a connection is idle, and ours must stay open for minutes then, so the
//! limits are kept here. The socket notes where the connection stands; after each look at the connection the clock is
//! looked at, if it has come to that. A request costs two clock readings: the timer is armed once, and moved when it
//! fires.

mod http2;
mod preface;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::response::Answer;
pub use http2::Http2Limits;
use preface::Preface;

/// How long a client may take nothing of what it was sent.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long, once draining, a client may take to read its last answer, or to send the rest of a request's head.
const HURRY_TIME: Duration = Duration::from_secs(2);
/// How long, and how much, is still read from a client after the last answer, so that the answer reaches it and not
/// a reset (RFC 9112, section 9.6).
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
    /// Bytes of a request's head.
    pub(super) header_size: usize,
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
}

/// Serves one connection until it ends, or, once `draining`, until the requests that are under way are answered.
///
/// # Errors
/// The connection broke off, was late with a request or with reading an answer, or did not speak HTTP; what can be
/// answered then, hyper has answered.
pub(super) async fn serve<S>(
    stream: S,
    protocol: Protocol,
    limits: ConnectionLimits,
    application: &impl Application,
    draining: &CancellationToken,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream);
    let mut watch = Watch::new(socket.clone(), limits);
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
            () = draining.cancelled() => return Ok(()),
        }
    }
    let ended = match http2 {
        Some(http2) => http2::serve(socket.clone(), watch, http2, application, draining).await,
        None => serve_http1(&socket, watch, application, draining).await,
    };
    let time = if draining.is_cancelled() { LINGER_TIME_DRAINING } else { LINGER_TIME };
    let _ = tokio::time::timeout(time, linger(socket)).await;
    ended
}

async fn serve_http1<S>(
    socket: &Socket<S>,
    mut watch: Watch<S>,
    application: &impl Application,
    draining: &CancellationToken,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phases = socket.clone();
    let service = service_fn(async |request| {
        phases.enter(Phase::Answering);
        let answer = application.answer(request).await;
        phases.enter(Phase::Idle(Instant::now()));
        Ok::<_, Infallible>(answer)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(watch.limits.header_size)
            .header_read_timeout(None)
            // A client may end its side once it has sent its request, and still reads the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(socket.clone()), service)
    );
    let ended = tokio::select! {
        biased;
        ended = watch.over(connection.as_mut()) => Some(ended),
        () = draining.cancelled() => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        watch.hurry();
        watch.over(connection.as_mut()).await
    };
    ended?.map_err(io::Error::other)
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
    /// Since then, a request's head has been coming.
    Head(Instant),
    /// A request is being answered; its body's time is bounded where it is read.
    Answering,
}

/// Bounds the time of a connection, by where its socket says that it stands.
struct Watch<S> {
    socket: Socket<S>,
    limits: ConnectionLimits,
    hurried: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Watch<S> {
    fn new(socket: Socket<S>, limits: ConnectionLimits) -> Self {
        let timer = Box::pin(tokio::time::sleep(limits.header_time));
        Self { socket, limits, hurried: None, timer }
    }

    /// From now on the client has little time for whatever it still has to do.
    fn hurry(&mut self) {
        self.hurried = Some(Instant::now());
    }

    /// What becomes of `connection`, or an error when its time is up.
    async fn over<C: Future>(&mut self, mut connection: Pin<&mut C>) -> io::Result<C::Output> {
        poll_fn(|context| match connection.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_due(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
        })
        .await
    }

    /// Ready when the time is up. A timer that is armed for earlier is left so and asked again when it fires.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due() else { return Poll::Pending };
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }

    /// When the connection has had its time, as it stands now.
    fn due(&self) -> Option<Instant> {
        let noted = self.socket.0.borrow();
        let client = match noted.phase {
            Phase::Idle(since) | Phase::Quiet(since) => Some((since, self.limits.idle_time)),
            Phase::Head(since) => Some((since, self.limits.header_time)),
            Phase::Answering => None,
        };
        let client = client.map(|(since, time)| match self.hurried {
            Some(hurried) => (since + time).min(since.max(hurried) + HURRY_TIME),
            None => since + time,
        });
        let write = noted.stalled.map(|since| since + WRITE_TIME);
        let window = self.limits.http2.map_or(0, |limits| limits.connection_window as usize);
        let unasked = (noted.unasked > window + http2::UNASKED_MAX).then(Instant::now);
        client.into_iter().chain(write).chain(unasked).min()
    }
}

/// The socket as hyper sees it, which notes where the connection stands. Cloned, so that it outlives hyper's connection
/// for the lingering close.
struct Socket<S>(Rc<RefCell<Noted<S>>>);

struct Noted<S> {
    stream: S,
    phase: Phase,
    /// What was read before it was known which version it is.
    preface: Preface,
    /// Bytes that came since no request was open over HTTP/2.
    unasked: usize,
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
        Self(Rc::new(RefCell::new(Noted {
            stream,
            phase: Phase::Head(Instant::now()),
            preface: Preface::default(),
            unasked: 0,
            stalled: None,
        })))
    }

    fn enter(&self, phase: Phase) {
        let mut noted = self.0.borrow_mut();
        noted.phase = phase;
        noted.unasked = 0;
    }

    /// Whether the client takes nothing of what is to be written.
    fn is_stalled(&self) -> bool {
        self.0.borrow().stalled.is_some()
    }

    /// A call of the stream, with whether the client takes what is written noted.
    fn note_write<T>(&self, call: impl FnOnce(&mut S) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
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
        if noted.preface.replay(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut noted.stream).poll_read(context, buffer);
        let length = buffer.filled().len() - before;
        match noted.phase {
            Phase::Idle(_) if length > 0 => noted.phase = Phase::Head(Instant::now()),
            Phase::Quiet(_) => noted.unasked += length,
            _ => {}
        }
        result
    }
}

/// Not vectored: answers are small, and one buffer is cheaper for the kernel to take than two.
impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note_write(|stream| Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note_write(|stream| Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(context)
    }
}
