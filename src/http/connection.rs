//! One client's connection over HTTP/1.1: its time limits, and an end that lets the client read the last answer.
//!
//! hyper's own header timeout also runs while a connection is idle, and ours must stay open for minutes then, so the
//! limits are kept here, below hyper, at the socket. They cost a request nothing but two clock readings: the timer is
//! armed once and looks at where the connection stands when it fires.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::response::{Answer, Refusal};

/// How long a client may take to read what it was sent.
const WRITE_TIME: Duration = Duration::from_secs(30);
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
}

/// What answers requests. It cannot fail: whatever happens is an answer.
pub(super) trait Application {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Answer;
}

/// Serves one connection until it ends, or, once `draining`, until the request that is under way is answered.
pub(super) async fn serve<S>(
    stream: S,
    limits: ConnectionLimits,
    application: &impl Application,
    draining: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream, limits);
    let phases = socket.clone();
    let service = service_fn(async |request| {
        phases.enter(Phase::Answering);
        let answer = AssertUnwindSafe(application.answer(request)).catch_unwind().await;
        phases.enter(Phase::Idle(Instant::now()));
        Ok::<_, Infallible>(answer.unwrap_or_else(|_| Refusal::Internal.into_answer()))
    });
    let mut connection = pin!(
        http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(limits.header_size)
            .header_read_timeout(None)
            // A client may end its side once it has sent its request, and still reads the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(socket.clone()), service)
    );
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
    let time = if draining.is_cancelled() { LINGER_TIME_DRAINING } else { LINGER_TIME };
    let _ = tokio::time::timeout(time, linger(socket)).await;
}

/// Ends the writing side, then reads and drops what still comes.
pub(super) async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
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
    /// Since then, a request's head has been coming.
    Head(Instant),
    /// A request is being answered; its body's time is bounded where it is read.
    Answering,
}

/// The socket as hyper sees it. Cloned, so that it outlives hyper's connection for the lingering close.
struct Socket<S>(Rc<RefCell<Timed<S>>>);

struct Timed<S> {
    stream: S,
    limits: ConnectionLimits,
    phase: Phase,
    /// Since when the client has taken nothing of what is to be written.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Socket<S> {
    fn new(stream: S, limits: ConnectionLimits) -> Self {
        let now = Instant::now();
        // The first request is due at once: nobody connects to stay silent for minutes.
        let timer = Box::pin(tokio::time::sleep_until(now + limits.header_time));
        let phase = Phase::Head(now);
        Self(Rc::new(RefCell::new(Timed { stream, limits, phase, stalled: None, timer })))
    }

    fn enter(&self, phase: Phase) {
        self.0.borrow_mut().phase = phase;
    }
}

impl<S> Timed<S> {
    /// When the connection has had its time, as it stands now.
    fn due(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Idle(since) => Some(since + self.limits.idle_time),
            Phase::Head(since) => Some(since + self.limits.header_time),
            Phase::Answering => None,
        };
        let write = self.stalled.map(|since| since + WRITE_TIME);
        phase.into_iter().chain(write).min()
    }

    /// Ready when the time is up. A timer that is armed for earlier is left so and asked again when it fires.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(due) = self.due() else { return Poll::Pending };
        if self.timer.deadline() > due {
            self.timer.as_mut().reset(due);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(due);
        }
    }

    /// Notes whether the client takes what is written, and bounds how long it does not.
    fn written<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        self.stalled.get_or_insert_with(Instant::now);
        self.poll_due(context).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let timed = &mut *self.0.borrow_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut timed.stream).poll_read(context, buffer) {
            Poll::Pending => timed.poll_due(context).map(Err),
            ready @ Poll::Ready(_) => {
                if buffer.filled().len() > before && matches!(timed.phase, Phase::Idle(_)) {
                    timed.phase = Phase::Head(Instant::now());
                }
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let timed = &mut *self.0.borrow_mut();
        let result = Pin::new(&mut timed.stream).poll_write(context, bytes);
        timed.written(result, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let timed = &mut *self.0.borrow_mut();
        let result = Pin::new(&mut timed.stream).poll_write_vectored(context, slices);
        timed.written(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timed = &mut *self.0.borrow_mut();
        let result = Pin::new(&mut timed.stream).poll_flush(context);
        timed.written(result, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(context)
    }
}
