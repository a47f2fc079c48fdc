//! The answers to the requests of one connection, as the connection asks for them.

use std::future;

use hyper::Request;
use hyper::body::Incoming;

use crate::http::transport::application::Reply;
use crate::telemetry::Limit;

/// A source of answers for one connection. It cannot fail: whatever happens is an answer.
pub trait Responder {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Reply;

    /// Whether the connection may go on in HTTP/2.
    fn takes_http2(&self) -> bool {
        true
    }

    /// Called when the connection has reached a limit.
    fn reached(&self, _limit: Limit) {}

    /// Waits until the connection has to make room for another one. It never has to while a
    /// request is being answered.
    async fn told_to_leave(&self) {
        future::pending::<()>().await;
    }
}
