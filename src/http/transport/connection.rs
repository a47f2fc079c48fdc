//! One client's connection: its version of HTTP, its deadlines, and an end that lets the client
//! read the last answer.
//!
//! hyper's header timeout cannot be used: it also runs while a connection is idle, which may last
//! for minutes. Instead the socket notes the connection's phase, for which it reads the clock twice
//! a request, and `deadlines` limits the time of each phase. A request's time counts from the first
//! byte of its head.

mod deadlines;
mod ending;
mod http1;
mod http2;
mod limits;
mod linger;
mod preface;
mod responder;
mod socket;

use std::io;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::draining::Draining;
use deadlines::Deadlines;
pub(super) use ending::HANDSHAKE_TIME;
pub use limits::ConnectionLimits;
pub(super) use linger::linger;
use linger::{LINGER_TIME, LINGER_TIME_DRAINING};
pub use responder::Responder;
use socket::Socket;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/1.0.
    Http1,
    /// HTTP/2, agreed on beforehand.
    Http2,
    /// Either, as the first bytes say (RFC 9113, section 3.3).
    Either,
}

/// Serves one connection until it ends, or, once it is `draining` or has to leave, until the
/// requests under way are answered.
///
/// # Errors
/// The connection broke off, was late with a request or with reading an answer, or did not speak
/// HTTP; hyper has answered what can be answered then.
pub async fn serve<S>(
    stream: S,
    protocol: Protocol,
    limits: ConnectionLimits<'_>,
    responder: &impl Responder,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = Socket::new(stream);
    let mut deadlines = Deadlines::new(socket.clone(), limits, responder);
    let mut http2 = limits.http2.filter(|_| protocol != Protocol::Http1);
    if http2.is_some() && protocol == Protocol::Either {
        let mut preface = pin!(socket.read_preface());
        tokio::select! {
            biased;
            is_http2 = deadlines.bound(preface.as_mut()) => {
                let is_http2 = is_http2??;
                http2 = http2.filter(|_| is_http2);
            }
            // Nothing of a request has come.
            _ = ending::told_to_close(draining, responder, || false) => return Ok(()),
        }
    }
    let ended = match http2 {
        Some(_) if !responder.takes_http2() => http2::reject(&mut socket.clone()).await,
        // Boxed: a connection is as large as the largest of what it may become, and most become
        // another.
        Some(http2) => Box::pin(http2::serve(&socket, deadlines, http2, draining)).await,
        None => http1::serve(&socket, deadlines, draining).await,
    };
    let drained = async {
        draining.begun().await;
        tokio::time::sleep(LINGER_TIME_DRAINING).await;
    };
    tokio::select! {
        biased;
        _ = tokio::time::timeout(LINGER_TIME, linger(socket)) => {}
        () = drained => {}
        () = responder.told_to_leave() => {}
    }
    ended
}

#[cfg(test)]
mod tests;
