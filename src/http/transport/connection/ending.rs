//! The signals that end a connection before its client does.

use std::time::Duration;

use super::responder::Responder;
use crate::http::transport::draining::Draining;

/// The time in which the client of a closing connection has to read its last answer, or to send the
/// rest of a request's head.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(2);
/// The same for a connection that makes room for another one, which waits for it.
const LEAVING_TIME: Duration = Duration::from_millis(10);

/// Waits until a connection that is closing has had time to say so, and has to leave.
pub(super) async fn cut_off(responder: &impl Responder) {
    tokio::time::sleep(LEAVING_TIME).await;
    responder.told_to_leave().await;
}

/// Waits until the connection has to close, and returns the time that its client has from then on.
pub(super) async fn told_to_close(draining: &Draining, responder: &impl Responder) -> Duration {
    tokio::select! {
        biased;
        () = responder.told_to_leave() => LEAVING_TIME,
        () = draining.begun() => CLOSING_TIME,
    }
}
