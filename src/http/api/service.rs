//! The dispatch of requests: finds the route, checks the head, calls the endpoint, turns a
//! rejection into an answer, and counts. It decides nothing that an endpoint decides.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime};

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Version};

use super::alertmanager::alertmanager;
use super::audit::{Entries, Trail};
use super::body::Body;
use super::cloudevents::cloudevents;
use super::head;
use super::inbound::{Connection, Inbound};
use super::oauth;
use super::openapi::openapi;
use super::publish::publish;
use super::refresh::refresh;
use super::rejection::Rejection;
use super::request_trace::{RequestTrace, trace_id};
use super::resources::Resources;
use super::response::{self, Success};
use super::route::Route;
use super::running::running;
use super::ticket::ticket;
use super::token::token;
use crate::http::transport::{Answer, Application, Client, Reply};
use crate::record;
use crate::telemetry::{Endpoint, Refusal, audit};

/// The application that answers the API's requests.
pub struct Service {
    /// The resources that its endpoints share.
    pub resources: Resources,
}

impl Application for Service {
    type Connection = Connection;

    const TOO_MANY_CONNECTIONS: &'static [u8] = response::TOO_MANY_CONNECTIONS;

    async fn answer(
        &self,
        request: Request<Incoming>,
        client: Client<'_>,
        connection: &Connection,
    ) -> Reply {
        let began = Instant::now();
        let metrics = &self.resources.metrics;
        let (head, body) = request.into_parts();
        let body = Body::new(body, &head.headers);
        let mut request = Inbound {
            head,
            body,
            client,
            connection,
            received: SystemTime::now(),
            is_last: Cell::new(false),
            trail: Trail::default(),
            began,
            trace: RequestTrace::default(),
        };
        // The path outlives the borrow of the request, whose body the endpoint reads.
        let uri = request.head.uri.clone();
        let route = Route::of(&request.head.method, uri.path());
        let endpoint = route.endpoint();
        let issues_tokens = matches!(route, Route::Token | Route::Refresh | Route::OAuthToken);
        let result = AssertUnwindSafe(self.dispatch(route, uri.query(), &mut request))
            .catch_unwind()
            .await
            .unwrap_or(Err(Rejection::Internal));
        if issues_tokens && result.is_ok() {
            request.begin_trace(&self.resources);
        }
        let entries = Entries::of(&request.trail, issues_tokens, result.as_ref());
        let is_ambiguous = matches!(result, Err(Rejection::Ambiguous));
        let mut answer = result.unwrap_or_else(|rejection| {
            rejection.limit().inspect(|limit| metrics.reached(*limit));
            metrics.refusals().note(endpoint, || Refusal {
                at: request.received,
                status: rejection.status().as_u16(),
                message: rejection.text(),
                user: request.trail.user(),
                peer: request.client.address,
            });
            rejection.into_answer(endpoint)
        });
        // Over HTTP/2 the rest of a body costs its stream alone.
        let ends = request.head.version < Version::HTTP_2
            && (is_ambiguous || !request.body.discard_small().await);
        if ends {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        metrics.answered(endpoint, answer.status().as_u16(), began.elapsed());
        identify(&mut answer, endpoint, &request, &entries);
        request.trace.end(&answer);
        Reply {
            answer,
            is_last: request.is_last.get(),
            rest: request.body.into_rest(),
        }
    }

    fn too_many_requests(&self) -> Answer {
        Rejection::TooManyRequests.into_answer(Endpoint::Other)
    }

    fn revoked(&self) -> Answer {
        Rejection::InvalidToken.into_answer(Endpoint::Other)
    }
}

impl Service {
    async fn dispatch(
        &self,
        route: Route<'_>,
        query: Option<&str>,
        request: &mut Inbound<'_>,
    ) -> Result<Answer, Rejection> {
        let resources = &self.resources;
        head::check(&request.head, &resources.server)?;
        if route.asks_directory() && resources.identity.directory().is_too_old() {
            return Err(Rejection::DirectoryTooOld);
        }
        match route {
            Route::Publish(kind) => publish(resources, kind, request).await,
            Route::Ticket(customer) => ticket(resources, &customer, query, request).await,
            Route::CloudEvents => cloudevents(resources, request).await,
            Route::Alertmanager(customer) => alertmanager(resources, &customer, request).await,
            Route::Token => token(&resources.identity, request).await,
            Route::Refresh => refresh(resources, request).await,
            Route::OAuthToken => oauth::token(resources, request).await,
            Route::OAuthRevoke => oauth::revoke(resources, request).await,
            Route::OAuthMetadata => {
                let metadata = oauth::metadata(&resources.server, &request.head);
                Ok(Success::Metadata(&metadata).into_answer())
            }
            Route::Running => Ok(running()),
            Route::OpenApi => Ok(openapi(request.headers())),
            Route::MethodNotAllowed(allow) => Err(Rejection::MethodNotAllowed { allow }),
            Route::NotFound => Err(Rejection::NotFound),
        }
    }
}

/// Logs an answer, and gives it the id that the logs have. An answer of 200 has one only if one of
/// the logs takes it.
fn identify(answer: &mut Answer, endpoint: Endpoint, request: &Inbound<'_>, entries: &Entries) {
    let is_plain = answer.status().is_success() && entries.are_none();
    if is_plain && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let id = record::next_id(request.received).to_string();
    let of_request = audit::Request {
        id: &id,
        peer: request.client.address,
        user: None,
        trace_id: trace_id(request.headers()),
    };
    entries.write(&request.trail, of_request, endpoint);
    let status = answer.status().as_u16();
    let audit::Request { peer, trace_id, .. } = of_request;
    if status == 500 {
        tracing::error!(request = id, trace_id, ?endpoint, status, %peer, "answered");
    } else {
        tracing::debug!(request = id, trace_id, ?endpoint, status, %peer, "answered");
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        answer.headers_mut().insert("x-request-id", id);
    }
}
