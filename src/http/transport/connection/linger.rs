//! The bytes that still come behind an answer. They are read and dropped, so that the client, which
//! may read nothing before it has sent everything, sees the answer and not a reset.

use std::io;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The longest time for which bytes are read and dropped.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(5);
/// The same while the gateway drains.
pub(super) const LINGER_TIME_DRAINING: Duration = Duration::from_millis(500);
/// The most bytes that are read and dropped.
const LINGER_SIZE: usize = 64 * 1024 * 1024;

/// Ends the writing side, then reads and drops what still comes (RFC 9112, section 9.6).
pub(in crate::http::transport) async fn linger(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
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

/// Reads and drops what still comes of a request's body over HTTP/2. The stream is reset if more
/// comes, or later (RFC 9113, section 8.1).
pub(super) async fn discard(mut body: Incoming) {
    let discard = async {
        let mut size = 0;
        while size < LINGER_SIZE
            && let Some(Ok(frame)) = body.frame().await
        {
            size += frame.data_ref().map_or(0, bytes::Bytes::len);
        }
    };
    let _ = timeout(LINGER_TIME, discard).await;
}
