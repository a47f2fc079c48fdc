//! The requests of one connection over HTTP/2: how many are being answered, and what their answers
//! leave behind.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Method, Request};
use tokio::time::Instant;

use crate::http::transport::application::{Answer, Reply};
use crate::http::transport::connection::responder::Responder;

/// The requests of one connection.
pub(super) struct Requests<'a, R> {
    responder: &'a R,
    answering: Cell<usize>,
    /// Rests of the bodies of requests that have been answered.
    pub(super) rests: RefCell<Vec<Incoming>>,
    /// Whether the connection ends with what is being answered.
    pub(super) has_last: Cell<bool>,
}

impl<'a, R: Responder> Requests<'a, R> {
    pub(super) fn new(responder: &'a R) -> Self {
        Self {
            responder,
            answering: Cell::new(0),
            rests: RefCell::default(),
            has_last: Cell::new(false),
        }
    }

    /// Answers a request. Keeps what has not been read of it: dropped at once, it would reset the
    /// stream as soon as the answer has been sent.
    ///
    /// hyper would send the body of an answer to HEAD over HTTP/2, which must have none (RFC 9110,
    /// section 9.3.2).
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let _being_answered = BeingAnswered::new(self);
        let is_head = request.method() == Method::HEAD;
        let Reply {
            mut answer,
            rest,
            is_last,
        } = self.responder.answer(request).await;
        self.rests.borrow_mut().extend(rest);
        if is_last {
            self.has_last.set(true);
        }
        if is_head && let Some(length) = answer.body().size_hint().exact() {
            answer
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
            *answer.body_mut() = Full::new(Bytes::new());
        }
        Ok(answer)
    }
}

/// A request that is being answered. It is dropped when its stream is reset, too.
struct BeingAnswered<'a, 'r, R: Responder>(&'a Requests<'r, R>);

impl<'a, 'r, R: Responder> BeingAnswered<'a, 'r, R> {
    fn new(requests: &'a Requests<'r, R>) -> Self {
        let count = requests.answering.get();
        requests.answering.set(count + 1);
        if count == 0 {
            requests.responder.busy();
        }
        Self(requests)
    }
}

impl<R: Responder> Drop for BeingAnswered<'_, '_, R> {
    fn drop(&mut self) {
        let count = self.0.answering.get() - 1;
        self.0.answering.set(count);
        if count == 0 {
            self.0.responder.idle(Instant::now());
        }
    }
}
