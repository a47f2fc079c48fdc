//! A connection over HTTP/1.1 or HTTP/1.0.

use std::convert::Infallible;
use std::io;
use std::pin::pin;

use hyper::body::Body;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::deadlines::Deadlines;
use super::ending::{cut_off, told_to_close};
use super::responder::Responder;
use super::socket::{Phase, Socket};
use crate::http::transport::application::Reply;
use crate::http::transport::draining::Draining;
use crate::telemetry::Limit;

/// Headers that hyper takes without being told, and without an allocation for each request.
const HEADERS_IN_PLACE: usize = 100;

/// Serves the connection, as [`serve`](super::serve) does. Beyond its greatest age, and once the
/// gateway is to stop, the next answer says that it ends.
pub(super) async fn serve<S>(
    socket: &Socket<S>,
    mut deadlines: Deadlines<'_, S, impl Responder>,
    draining: &Draining,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = deadlines.limits;
    let responder = deadlines.responder;
    let last_request = deadlines.last_request;
    let service = service_fn(async |request| {
        socket.begin_answer();
        let Reply {
            mut answer,
            is_last,
            ..
        } = responder.answer(request).await;
        let now = Instant::now();
        let is_old = last_request.is_some_and(|last_request| last_request <= now);
        if is_last || is_old || draining.is_announced() {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let phase = match answer.body().size_hint().exact() {
            Some(_) => Phase::Idle(now),
            // A stream bounds its own time.
            None => Phase::Streams,
        };
        socket.enter(phase);
        Ok::<_, Infallible>(answer)
    });
    let builder = builder(limits.max_header, limits.max_headers);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket.clone()), service));
    let ended = tokio::select! {
        biased;
        ended = deadlines.bound(connection.as_mut()) => Ok(ended),
        time = told_to_close(draining, responder, || socket.has_begun()) => Err(time),
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(time) => {
            connection.as_mut().graceful_shutdown();
            deadlines.begin_closing(time);
            tokio::select! {
                biased;
                ended = deadlines.bound(connection.as_mut()) => ended,
                () = cut_off(responder) => return Ok(()),
            }
        }
    };
    ended?.map_err(|error| {
        if let Some(limit) = limit_of(&error, socket.notes().received, limits.max_header) {
            responder.reached(limit);
        }
        io::Error::other(error)
    })
}

/// Returns a builder of connections with the configured limits.
fn builder(max_header: usize, max_headers: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .title_case_headers(true)
        .max_buf_size(max_header)
        .header_read_timeout(None)
        // A client may end its side once it has sent its request, and still reads the answer.
        .half_close(true);
    if max_headers > HEADERS_IN_PLACE {
        builder.max_headers(max_headers);
    }
    builder
}

/// Returns the limit for which hyper has rejected a head.
///
/// hyper does not say whether the headers were too many or too long. The bytes `received` of them
/// do, except for those that came together with the request before.
fn limit_of(error: &hyper::Error, received: usize, max_header: usize) -> Option<Limit> {
    if !error.is_parse_too_large() {
        return None;
    }
    Some(if error.to_string() == "URI too long" {
        Limit::Uri
    } else if received < max_header {
        Limit::HeaderCount
    } else {
        Limit::HeaderSize
    })
}
