//! The pages of the admin listener: finds the page of a request, and who may see it.

use std::net::IpAddr;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;

use super::access::Access;
use super::answer::{CSS, HTML, POLICY, SCRIPT, not_stored, page};
use super::console::{self, Console, Watched};
use super::inbound::Inbound;
use super::places::Occupant;
use super::refusal::Refusal;
use super::screens::{self, Screen};
use super::{login, openapi};
use crate::http::api::{Rejection, json};
use crate::http::transport::connection::Responder;
use crate::http::transport::{Answer, Reply};

/// The path that takes Basic credentials, too.
const METRICS: &str = "/metrics";

/// The facts that readiness is judged by.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Whether the gateway takes no more traffic because it is about to end.
    pub draining: bool,
    /// Whether the directory may be out of date for longer than the configuration allows.
    pub directory_too_old: bool,
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
pub trait State: Watched {
    /// Returns what readiness is judged by.
    fn readiness(&self) -> Readiness;
    /// Returns all metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;
}

/// The pages of a state.
pub(super) struct Pages<S> {
    state: Rc<S>,
    access: Rc<Access>,
    console: Console<S>,
}

impl<S: State + 'static> Pages<S> {
    pub(super) fn new(state: S, access: Access) -> Self {
        let state = Rc::new(state);
        Self {
            console: Console::new(Rc::clone(&state)),
            access: Rc::new(access),
            state,
        }
    }
}

/// The one page that a connection asks for.
pub(super) struct Page<S> {
    pages: Rc<Pages<S>>,
    peer: IpAddr,
    place: Occupant,
}

impl<S> Page<S> {
    pub(super) fn new(pages: &Rc<Pages<S>>, peer: IpAddr, place: Occupant) -> Self {
        Self {
            pages: Rc::clone(pages),
            peer,
            place,
        }
    }
}

impl<S: State + 'static> Responder for Page<S> {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        self.place.has_asked();
        let mut request = Inbound::new(request, self.peer, &self.place);
        let result = self.pages.answer(&mut request).await;
        let takes_basic = request.path() == METRICS;
        let mut answer =
            result.unwrap_or_else(|refusal| refusal.into_answer(&request.head, takes_basic));
        if let Some(id) = request.known_id().and_then(|id| id.parse().ok()) {
            answer.headers_mut().insert("x-request-id", id);
        }
        // Else a client that comes back later would hold a place until then.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
        answer.into()
    }
}

impl<S: State + 'static> Pages<S> {
    async fn answer(&self, request: &mut Inbound<'_>) -> Result<Answer, Refusal> {
        let Self {
            state,
            access,
            console,
        } = self;
        check_method(request)?;
        match request.path() {
            "/livez" => Ok(json(StatusCode::OK, &serde_json::json!({"alive": true}))),
            "/readyz" => {
                let with_sinks = asks_for_sinks(request.head.uri.query());
                Ok(readiness(state.readiness(), with_sinks))
            }
            METRICS => {
                access.scraper(request).await?;
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                Ok(not_stored(page(state.metrics(), kind, POLICY)))
            }
            "/openapi" => Ok(page(openapi::page(), HTML, POLICY)),
            "/console.css" => Ok(page(console::STYLE, CSS, POLICY)),
            "/console.js" => Ok(page(console::SCRIPT, SCRIPT, POLICY)),
            "/login" => login::log_in(access, request).await,
            "/logout" => login::log_out(access, request).await,
            "/session" => session(access, request),
            _ => screens::answer(console, access, request).await,
        }
    }
}

/// Checks that there is the path, and that it takes the method.
fn check_method(request: &Inbound<'_>) -> Result<(), Rejection> {
    let allow = match request.path() {
        "/livez" | "/readyz" | METRICS | "/openapi" | "/console.css" | "/console.js"
        | "/session" => "GET, HEAD",
        "/login" => "GET, HEAD, POST",
        "/logout" => "POST",
        path => Screen::at(path).ok_or(Rejection::NotFound)?.allow(),
    };
    let is_allowed = match request.head.method {
        Method::GET | Method::HEAD => allow.starts_with("GET"),
        Method::POST => allow.ends_with("POST"),
        _ => false,
    };
    if is_allowed {
        Ok(())
    } else {
        Err(Rejection::MethodNotAllowed { allow })
    }
}

/// Returns who has logged in, and the token that a page sends with a change.
fn session(access: &Access, request: &Inbound<'_>) -> Result<Answer, Refusal> {
    let viewer = access.viewer(request)?;
    let session = serde_json::json!({ "user": viewer.email(), "csrf": viewer.csrf() });
    Ok(not_stored(json(StatusCode::OK, &session)))
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
        directory_too_old,
        sinks_down,
        faulty_files,
    } = readiness;
    let ready = !(draining || directory_too_old || with_sinks && !sinks_down.is_empty());
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
