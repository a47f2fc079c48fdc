//! The pages of the admin listener, from the state of the gateway.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::http::api::{Rejection, json};
use crate::http::transport::Answer;
use crate::http::transport::connection::Responder;
use crate::telemetry::Endpoint;

/// The content of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether traffic is welcome.
    pub ready: bool,
    /// The reasons against it, empty if it is: `draining`, or a topic, its sink and the sink's
    /// message.
    pub reasons: Vec<String>,
}

/// The state that the pages show.
pub trait State {
    /// Returns whether traffic is welcome, and the reasons against it.
    fn readiness(&self) -> Readiness;
    /// Returns all metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;
}

/// The pages of a state.
pub(super) struct Pages<S>(pub(super) S);

impl<S: State> Responder for Pages<S> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let page = match path.strip_suffix('/').unwrap_or(path) {
            "/livez" => json(StatusCode::OK, &serde_json::json!({"alive": true})),
            "/readyz" => readiness(&self.0.readiness()),
            "/metrics" => metrics(self.0.metrics()),
            _ => return Rejection::NotFound.into_answer(Endpoint::Other),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return page;
        }
        Rejection::MethodNotAllowed { allow: "GET, HEAD" }.into_answer(Endpoint::Other)
    }
}

fn readiness(readiness: &Readiness) -> Answer {
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, readiness)
}

fn metrics(text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, format);
    answer
}
