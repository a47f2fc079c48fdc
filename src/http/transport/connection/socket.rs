//! The socket as hyper sees it. It notes the connection's phase, and when bytes come and go.

use std::cell::{Ref, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::preface::Preface;

/// The phase of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// No byte of the next request has arrived since this time.
    Idle(Instant),
    /// HTTP/2: no request has been open since this time; other frames may have arrived.
    Quiet(Instant),
    /// As `Quiet`, before the first request.
    Silent(Instant),
    /// The first byte of a request's head arrived at this time.
    Head(Instant),
    /// A request is being answered. The time of its body is bounded where the body is read.
    Answering,
    /// Requests over HTTP/2, or one with a stream, are being answered. Each bounds its own time.
    Streams,
}

/// A stream with its notes. Clones share both, so that the stream outlives hyper's connection for
/// the lingering close.
pub(super) struct Socket<S>(Rc<RefCell<Noted<S>>>);

struct Noted<S> {
    stream: S,
    preface: Preface,
    notes: Notes,
}

/// The notes on a connection that its deadlines are computed from.
pub(super) struct Notes {
    pub(super) phase: Phase,
    /// The time at which the first byte of the last request arrived.
    pub(super) request: Instant,
    /// Bytes that came since the last answer was made; over HTTP/2, since no request was open.
    pub(super) received: usize,
    /// The time since which the client has accepted none of the bytes that wait to be written.
    pub(super) stalled: Option<Instant>,
}

impl<S> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        // The first request is due at once: no client connects to stay silent for minutes.
        let now = Instant::now();
        Self(Rc::new(RefCell::new(Noted {
            stream,
            preface: Preface::default(),
            notes: Notes {
                phase: Phase::Head(now),
                request: now,
                received: 0,
                stalled: None,
            },
        })))
    }

    /// Returns the notes as they are now. They must be let go of before the socket is used.
    pub(super) fn notes(&self) -> Ref<'_, Notes> {
        Ref::map(self.0.borrow(), |noted| &noted.notes)
    }

    /// Returns whether any bytes of the client have come.
    pub(super) fn has_begun(&self) -> bool {
        let notes = self.notes();
        !matches!(notes.phase, Phase::Head(_)) || notes.received > 0
    }

    /// Notes that the connection is in this phase from now on.
    pub(super) fn enter(&self, phase: Phase) {
        let notes = &mut self.0.borrow_mut().notes;
        notes.phase = phase;
        notes.received = 0;
    }

    /// Notes that the whole head of a request is there.
    pub(super) fn begin_answer(&self) {
        let notes = &mut self.0.borrow_mut().notes;
        if let Phase::Idle(since) = notes.phase {
            // It came along with the request before.
            notes.request = since;
        }
        notes.phase = Phase::Answering;
    }

    /// Calls the stream to write, and notes whether the client takes the bytes.
    fn note_write<T>(
        &self,
        call: impl FnOnce(&mut S) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Noted { stream, notes, .. } = &mut *self.0.borrow_mut();
        let result = call(stream);
        if result.is_ready() {
            notes.stalled = None;
        } else {
            notes.stalled.get_or_insert_with(Instant::now);
        }
        result
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    /// Reads until it is clear whether the client speaks HTTP/2, and returns whether it does. The
    /// bytes can be read again.
    pub(super) async fn read_preface(&self) -> io::Result<bool> {
        poll_fn(|context| {
            let Noted {
                stream, preface, ..
            } = &mut *self.0.borrow_mut();
            preface.poll_read(stream, context)
        })
        .await
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Noted {
            stream,
            preface,
            notes,
        } = &mut *self.0.borrow_mut();
        let before = buffer.filled().len();
        let result = if preface.replay(buffer) {
            // With the bytes that came behind it: for a second read hyper would double its buffer.
            // An error comes up again as an end of the stream.
            let _ = Pin::new(stream).poll_read(context, buffer);
            Poll::Ready(Ok(()))
        } else {
            Pin::new(stream).poll_read(context, buffer)
        };
        let length = buffer.filled().len() - before;
        notes.received += length;
        if matches!(notes.phase, Phase::Idle(_)) && length > 0 {
            notes.request = Instant::now();
            notes.phase = Phase::Head(notes.request);
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
