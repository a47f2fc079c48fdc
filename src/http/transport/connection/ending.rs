//! The signals that end a connection before its client does.

use std::future::{self, Future};
use std::io;
use std::time::Duration;

use super::responder::Responder;
use crate::http::transport::draining::Draining;

/// The time in which the client of a closing connection has to read its last answer, or to send the
/// rest of a request's head.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(2);
/// The same for a connection that makes room for another one, which waits for it.
const LEAVING_TIME: Duration = Duration::from_millis(10);

/// Serves a closing connection to its end, or until it has not made room although it was told to.
pub(super) async fn close<T>(
    serving: impl Future<Output = io::Result<T>>,
    responder: &impl Responder,
) -> io::Result<Option<T>> {
    let overdue = async {
        tokio::time::sleep(LEAVING_TIME).await;
        if !responder.is_leaving() {
            // It is answering a request, or was not told.
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        ended = serving => ended.map(Some),
        () = overdue => Ok(None),
    }
}

/// Waits until the connection has to close, and returns the time that its client has from then on.
pub(super) async fn told_to_close(draining: &Draining, responder: &impl Responder) -> Duration {
    tokio::select! {
        biased;
        () = responder.told_to_leave() => LEAVING_TIME,
        () = draining.begun() => CLOSING_TIME,
    }
}
