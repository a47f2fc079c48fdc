//! The pages of the admin listener, from the state of the gateway.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use super::openapi;
use crate::http::api::{Rejection, json};
use crate::http::transport::connection::Responder;
use crate::http::transport::{Answer, Reply};
use crate::telemetry::Endpoint;

/// The policy for browsers: they show a page with the style from here, and load nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The facts that readiness is judged by.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Whether the gateway takes no more traffic because it is about to end.
    pub draining: bool,
    /// The topics whose sinks do not take records at present, each with the sink's message.
    pub sinks_down: Vec<String>,
    /// Files that are not in use as they stand, because of faults in them.
    pub faulty_files: Vec<String>,
}

/// The content of `/readyz`.
#[derive(Debug, Serialize)]
struct ReadyPage {
    ready: bool,
    /// All that is wrong, also what does not keep traffic away.
    reasons: Vec<String>,
}

/// The state that the pages show.
pub trait State {
    /// Returns what readiness is judged by.
    fn readiness(&self) -> Readiness;
    /// Returns all metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;
}

/// The pages of a state.
pub(super) struct Pages<S>(pub(super) S);

/// The one page that a connection asks for.
pub(super) struct Page<S> {
    pages: Rc<Pages<S>>,
    has_asked: Rc<Cell<bool>>,
}

impl<S> Page<S> {
    pub(super) fn new(pages: &Rc<Pages<S>>) -> Self {
        Self {
            pages: Rc::clone(pages),
            has_asked: Rc::default(),
        }
    }

    /// Returns whether the connection has asked yet, as it will be.
    pub(super) fn has_asked(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.has_asked)
    }
}

impl<S: State> Responder for Page<S> {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        self.has_asked.set(true);
        let mut answer = self.pages.answer(&request);
        // Else a client that comes back later would hold a place until then.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
        answer.into()
    }
}

impl<S: State> Pages<S> {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let page = match path.strip_suffix('/').unwrap_or(path) {
            "/livez" => json(StatusCode::OK, &serde_json::json!({"alive": true})),
            "/readyz" => readiness(self.0.readiness(), asks_for_sinks(request.uri().query())),
            "/metrics" => page(self.0.metrics(), "text/plain; version=0.0.4; charset=utf-8"),
            "/openapi" => page(openapi::page(), "text/html; charset=utf-8"),
            "/openapi.css" => page(openapi::STYLE, "text/css; charset=utf-8"),
            _ => return Rejection::NotFound.into_answer(Endpoint::Other),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return page;
        }
        Rejection::MethodNotAllowed { allow: "GET, HEAD" }.into_answer(Endpoint::Other)
    }
}

/// Whether the query is `sinks`, with or without a value, among others or alone.
fn asks_for_sinks(query: Option<&str>) -> bool {
    let mut parameters = query.unwrap_or_default().split('&');
    parameters.any(|parameter| parameter.split('=').next() == Some("sinks"))
}

/// Returns the page. Only the end of the process keeps traffic away, so that a load balancer does not
/// take every gateway away for one sink; `with_sinks`, a sink that is down does too.
fn readiness(readiness: Readiness, with_sinks: bool) -> Answer {
    let Readiness {
        draining,
        sinks_down,
        faulty_files,
    } = readiness;
    let ready = !(draining || with_sinks && !sinks_down.is_empty());
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let draining = draining.then(|| "draining".to_owned());
    let reasons = draining.into_iter().chain(sinks_down).chain(faulty_files);
    let reasons = reasons.collect();
    json(status, &ReadyPage { ready, reasons })
}

/// Returns a page with the policy for browsers.
fn page(text: impl Into<Bytes>, content_type: &'static str) -> Answer {
    let mut answer = Answer::new(text.into().into());
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}
