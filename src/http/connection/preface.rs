//! Tells HTTP/2 by prior knowledge from HTTP/1.1, by the first bytes (RFC 9113, section 3.4), and
//! gives them back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, ReadBuf};

use super::Socket;

/// What a client that speaks HTTP/2 begins with. No request of HTTP/1.1 does: the method is
/// reserved.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that were read early and are to be read again.
#[derive(Default)]
pub(super) struct Preface {
    bytes: [u8; PREFACE.len()],
    read: usize,
    replayed: usize,
}

impl Preface {
    /// Gives back what there is. Says whether there was anything.
    pub(super) fn replay(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.replayed..self.read];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.replayed += length;
        length > 0
    }
}

/// Reads until it is clear whether the client speaks HTTP/2. The socket then gives all of it once
/// more.
pub(super) async fn read<S: AsyncRead + Unpin>(socket: &Socket<S>) -> io::Result<bool> {
    loop {
        let length = poll_fn(|context| {
            let noted = &mut *socket.0.borrow_mut();
            let preface = &mut noted.preface;
            let mut buffer = ReadBuf::new(&mut preface.bytes[preface.read..]);
            let result = Pin::new(&mut noted.stream).poll_read(context, &mut buffer);
            let length = buffer.filled().len();
            preface.read += length;
            result.map_ok(|()| length)
        })
        .await?;
        let preface = &socket.0.borrow().preface;
        if preface.bytes[..preface.read] != PREFACE[..preface.read] || length == 0 {
            return Ok(false);
        }
        if preface.read == PREFACE.len() {
            return Ok(true);
        }
    }
}
