//! The body of an answer, which is there as a whole and is sent in pieces; or, at the admin listener,
//! a stream that goes on until it ends.
//!
//! hyper copies a piece into the connection's buffer, and asks for another only while the buffer
//! holds less than `server.max_header`. So a client that does not read a large answer holds no more
//! than that.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, SizeHint};

/// The most bytes of a piece. Nearly every answer is smaller.
const PIECE_BYTES: usize = 8 << 10;

/// The parts of a body that are to come.
type More = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// The rest of a body.
#[derive(Default)]
pub struct Pieces {
    rest: Bytes,
    /// The parts behind the rest; `None` for a body that is there as a whole.
    more: Option<More>,
}

impl Pieces {
    /// Returns a body whose parts come one after another. It asks for a part once the part before has
    /// been taken, and holds no other.
    pub fn stream(parts: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self {
            rest: Bytes::new(),
            more: Some(Box::pin(parts)),
        }
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Pieces").field(&self.rest).finish()
    }
}

impl From<Bytes> for Pieces {
    fn from(body: Bytes) -> Self {
        Self {
            rest: body,
            more: None,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.rest.is_empty() {
            let Some(more) = &mut self.more else {
                return Poll::Ready(None);
            };
            match ready!(more.as_mut().poll_next(context)) {
                Some(part) => self.rest = part,
                None => self.more = None,
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.more.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.rest.len() as u64;
        if self.more.is_none() {
            return SizeHint::with_exact(length);
        }
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_pieces_are_the_body_and_none_is_large() {
        for length in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES] {
            let whole: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut body = Pieces::from(Bytes::from(whole.clone()));
            let mut sent = Vec::new();
            let mut context = Context::from_waker(Waker::noop());
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
                let piece = frame.into_data().expect("data");
                assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
                sent.extend_from_slice(&piece);
                let left = (length - sent.len()) as u64;
                assert_eq!(body.size_hint().exact(), Some(left));
            }
            assert!(body.is_end_stream());
            assert_eq!(sent, whole);
        }
    }

    #[test]
    fn a_stream_is_a_body_of_no_known_length_that_ends_with_it() {
        let parts = [&b"one"[..], b"", b"two"].map(Bytes::from_static);
        let mut body = Pieces::stream(futures_util::stream::iter(parts));
        let mut context = Context::from_waker(Waker::noop());
        let mut sent = Vec::new();
        assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            sent.extend_from_slice(&frame.into_data().expect("data"));
        }
        assert_eq!(sent, b"onetwo");
        assert!(body.is_end_stream());
    }
}
