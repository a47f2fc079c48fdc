//! The signals that end a connection before its client does.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
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

/// The time from the begin of a drain in which a connection may still name its client and end its
/// handshake: the client does not know of the end, and would have to send its first request again.
pub(in crate::http::transport) const HANDSHAKE_TIME: Duration = Duration::from_secs(2);
/// The same for its first bytes, which its client, such as a balancer, may have sent already.
const FIRST_BYTES_TIME: Duration = Duration::from_millis(2_500);

/// Waits until the connection has to close, and returns the time that its client has from then on.
/// `has_begun` tells whether any of its bytes have come.
pub(super) async fn told_to_close(
    draining: &Draining,
    responder: &impl Responder,
    has_begun: impl Fn() -> bool,
) -> Duration {
    let drained = async {
        draining.begun().await;
        let mut late = pin!(draining.begun_for(FIRST_BYTES_TIME));
        // The task is woken by the bytes, too.
        poll_fn(|context| {
            if has_begun() {
                return Poll::Ready(());
            }
            late.as_mut().poll(context)
        })
        .await;
    };
    tokio::select! {
        biased;
        () = responder.told_to_leave() => LEAVING_TIME,
        () = drained => CLOSING_TIME,
    }
}
