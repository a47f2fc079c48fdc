//! The first bytes of a connection, by which HTTP/2 with prior knowledge is told from HTTP/1.1 (RFC
//! 9113, section 3.4). They are read early, and given back to be read again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The first bytes of every client that speaks HTTP/2. No request of HTTP/1.1 begins so: the method
/// is reserved.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that were read early and are to be read again.
#[derive(Default)]
pub(super) struct Preface {
    bytes: [u8; PREFACE.len()],
    read: usize,
    replayed: usize,
}

impl Preface {
    /// Reads until it is clear whether the client speaks HTTP/2, and returns whether it does.
    pub(super) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        loop {
            let mut buffer = ReadBuf::new(&mut self.bytes[self.read..]);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            let length = buffer.filled().len();
            self.read += length;
            if self.bytes[..self.read] != PREFACE[..self.read] || length == 0 {
                return Poll::Ready(Ok(false));
            }
            if self.read == PREFACE.len() {
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Gives bytes back. Returns whether there were any.
    pub(super) fn replay(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.replayed..self.read];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.replayed += length;
        length > 0
    }
}
