//! The parts that answers are made of.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::http::transport::Answer;

/// The challenge to log in by email and password.
pub(super) const BASIC: &str = r#"Basic realm="IEM""#;

pub(super) fn fixed(body: &'static str) -> Answer {
    with_body(StatusCode::OK, Bytes::from_static(body.as_bytes()))
}

/// Returns an answer without a body: the client has it.
pub(super) fn not_modified() -> Answer {
    let mut answer = Response::new(Bytes::new().into());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer
}

/// Returns an answer with this status and body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => with_body(status, body.into()),
        Err(_) => with_body(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
    }
}

fn with_body(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    insert(&mut answer, CONTENT_TYPE, "application/json");
    answer
}

/// Returns the answer as one that no cache keeps.
pub(super) fn not_stored(mut answer: Answer) -> Answer {
    insert(&mut answer, CACHE_CONTROL, "no-store");
    answer
}

pub(super) fn insert(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
