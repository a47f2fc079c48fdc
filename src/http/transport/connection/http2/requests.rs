//! The requests of one connection over HTTP/2, and what their answers leave behind.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Method, Request};

use crate::http::transport::application::{Answer, Reply};
use crate::http::transport::connection::responder::Responder;
use crate::http::transport::pieces::Pieces;

/// The requests of one connection.
pub(super) struct Requests<'a, R> {
    responder: &'a R,
    /// Rests of the bodies of requests that have been answered.
    pub(super) rests: RefCell<Vec<Incoming>>,
    /// Whether the connection ends with what is being answered.
    pub(super) has_last: Cell<bool>,
}

impl<'a, R: Responder> Requests<'a, R> {
    pub(super) fn new(responder: &'a R) -> Self {
        Self {
            responder,
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
            *answer.body_mut() = Pieces::default();
        }
        Ok(answer)
    }
}
