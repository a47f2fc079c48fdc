//! A request's way, stage by stage: route, identity, body, record, authorisation, pipeline. Each
//! stage knows nothing of the others; what goes wrong in one is a [`Refusal`], and the first one
//! answers.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Version};
use iem_sink::{Context, Outcome, Record};
use smallvec::smallvec;
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Body, BodyLimits};
use super::bounds::HeadLimits;
use super::head;
use super::intake::{self, Accepted, Intake, Runs};
use super::readers::{READ_IN_PLACE_MAX, Readers};
use super::response::{Answer, Refusal, Success};
use super::route::{Route, query_value};
use crate::identity::authentication::{self, Basic, BasicHeader};
use crate::identity::authorization::{self, Denied};
use crate::identity::directory::Customer;
use crate::identity::quota::{OverQuota, Quotas};
use crate::identity::token::TokenError;
use crate::identity::{Identity, LoginError, Principal, Shown};
use crate::memory::MemoryBudget;
use crate::pipeline::{Pipeline, SubmitError};
use crate::record::{self, KeyFields, Kind, TicketUpdate};
use crate::telemetry::{Endpoint, Limit, Metrics};

/// One topic, as requests meet it.
pub struct Topic {
    /// Its way to the sink.
    pub pipeline: Pipeline,
    /// Where its records' ordering key is found.
    pub key_fields: KeyFields,
}

/// Everything that a request meets, shared by all threads.
pub struct Service {
    /// The configured name of the gateway: `source` of every record.
    pub source: Arc<str>,
    /// Who may do what.
    pub identity: Arc<Identity>,
    /// The bound on all bodies.
    pub memory: Arc<MemoryBudget>,
    /// The most bytes of one body.
    pub body_size: usize,
    /// The time within which a body must be there.
    pub body_time: Duration,
    /// The bytes a second that it must come at, on average; 0: any.
    pub body_rate: usize,
    /// Bounds on a head.
    pub head: HeadLimits,
    /// Where large bodies are read.
    pub readers: Readers,
    /// By [`Kind`].
    pub topics: [Topic; Kind::COUNT],
    /// What each customer may send a second.
    pub quotas: Quotas,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// A request that is being answered.
struct Inbound<'c> {
    head: Parts,
    body: Body,
    peer: IpAddr,
    /// The email of the user that the client's certificate stands for.
    certified: Option<Arc<str>>,
    shown: &'c Shown,
    received: SystemTime,
}

impl Service {
    /// Answers one request, of a peer whose certificate, if it has one, stands for the user with
    /// the email `certified`, on a connection that has `shown` tokens.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        certified: Option<Arc<str>>,
        shown: &Shown,
    ) -> Answer {
        let began = Instant::now();
        let (head, body) = request.into_parts();
        let body = Body::new(body, &head.headers);
        let mut request = Inbound {
            head,
            body,
            peer,
            certified,
            shown,
            received: SystemTime::now(),
        };
        // The path outlives the borrow of the request, whose body the stages read.
        let uri = request.head.uri.clone();
        let route = Route::of(&request.head.method, uri.path());
        let endpoint = route.endpoint();
        let stages = self.stages(route, uri.query(), &mut request);
        let result = AssertUnwindSafe(stages)
            .catch_unwind()
            .await
            .unwrap_or(Err(Refusal::Internal));
        let is_ambiguous = matches!(result, Err(Refusal::Ambiguous));
        let mut answer = result.unwrap_or_else(|refusal| {
            refusal
                .limit()
                .inspect(|limit| self.metrics.reached(*limit));
            refusal.into_answer(endpoint)
        });
        let goes_on = !is_ambiguous && request.body.discard_small().await;
        // Over HTTP/2 a body that is dropped costs its stream alone.
        if !goes_on && request.head.version < Version::HTTP_2 {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.metrics
            .answered(endpoint, answer.status().as_u16(), began.elapsed());
        identify(&mut answer, endpoint, &request);
        answer
    }

    async fn stages(
        &self,
        route: Route<'_>,
        query: Option<&str>,
        request: &mut Inbound<'_>,
    ) -> Result<Answer, Refusal> {
        if !head::has_one_reading(&request.head) {
            return Err(Refusal::Ambiguous);
        }
        self.head.admit(&request.head)?;
        let success = match route {
            Route::Publish(kind) => self
                .publish(kind, request)
                .await
                .map(|()| Success::Published)?,
            Route::Ticket(customer) => self
                .ticket(&customer, query, request)
                .await
                .map(|()| Success::TicketTaken)?,
            Route::Token => return self.token(request).await,
            Route::Refresh => return self.refresh(request).await,
            Route::Running => Success::Running,
            Route::MethodNotAllowed(allow) => return Err(Refusal::MethodNotAllowed { allow }),
            Route::NotFound => return Err(Refusal::NotFound),
        };
        Ok(success.into_answer())
    }

    /// `POST /publish/…`: contract, sections 2 and 3.
    async fn publish(&self, kind: Kind, request: &mut Inbound<'_>) -> Result<(), Refusal> {
        let principal = self.holder(request).ok_or(Refusal::MissingToken)??;
        authorization::may_call(principal.user())?;
        let body = self.body(request, Some(kind)).await?;
        let (accepted, permit) = self.accept(kind, principal, request, body).await?;
        self.charge(&accepted)?;
        self.deliver(kind, accepted, permit).await
    }

    /// The records of a body, read here or, if it is large, on a thread where that holds up nobody.
    async fn accept(
        &self,
        kind: Kind,
        principal: Principal,
        request: &Inbound<'_>,
        body: Bytes,
    ) -> Result<(Accepted, Option<OwnedSemaphorePermit>), Refusal> {
        let Topic {
            pipeline,
            key_fields,
        } = &self.topics[kind as usize];
        let context = self.context(kind, &principal, request);
        let (form, records_max) = (intake::form(&request.head.headers), pipeline.records_max());
        if body.len() <= READ_IN_PLACE_MAX {
            let (identity, metrics, principal) = (&*self.identity, &*self.metrics, &principal);
            let intake = Intake {
                identity,
                metrics,
                principal,
                key_fields,
                form,
                records_max,
            };
            return Ok((intake.accept(&body, context)?, None));
        }
        let (identity, metrics) = (Arc::clone(&self.identity), Arc::clone(&self.metrics));
        let key_fields = key_fields.clone();
        let accept = move || {
            let (identity, metrics, principal, key_fields) =
                (&*identity, &*metrics, &principal, &key_fields);
            let intake = Intake {
                identity,
                metrics,
                principal,
                key_fields,
                form,
                records_max,
            };
            intake.accept(&body, context)
        };
        let (accepted, permit) = self.readers.read(accept).await?;
        Ok((accepted?, Some(permit)))
    }

    /// `POST /gbp/push/<customerid>`: contract, section 4.
    async fn ticket(
        &self,
        customer: &str,
        query: Option<&str>,
        request: &mut Inbound<'_>,
    ) -> Result<(), Refusal> {
        let principal = self.ticket_sender(request).await?;
        authorization::may_call(principal.user())?;
        let customer = self.customer(&principal, customer)?;
        let id = query_value(query, "integrationid")
            .filter(|id| !id.is_empty())
            .ok_or(Refusal::NoIntegration)?;
        let integration = self
            .identity
            .directory()
            .load()
            .integration(&customer.id, &id)
            .cloned();
        let integration = integration.ok_or(Refusal::UnknownIntegration)?;
        let data = self.body(request, Some(Kind::Ticket)).await?;
        let (update, permit) = self.ticket_update(&data).await?;
        let customer = self.customer(&principal, &customer.id)?;
        let key = record::ordering_key(&customer.id, update.key_value.as_deref());
        let mut context = self.context(Kind::Ticket, &principal, request);
        context.integration = Some(integration.id.as_str().into());
        context.actionable_state = integration.state(update.state).map(Into::into);
        let (id, context) = (record::next_id(context.time), Arc::new(context));
        let records = smallvec![Record {
            id,
            context,
            customer: Arc::clone(&customer.id),
            key,
            data
        }];
        self.deliver(
            Kind::Ticket,
            Accepted {
                records,
                customers: smallvec![(customer, 1)],
            },
            permit,
        )
        .await
    }

    /// A ticket's change, read as [`accept`](Self::accept) does.
    async fn ticket_update(
        &self,
        data: &Bytes,
    ) -> Result<(TicketUpdate, Option<OwnedSemaphorePermit>), Refusal> {
        let key_fields = &self.topics[Kind::Ticket as usize].key_fields;
        if data.len() <= READ_IN_PLACE_MAX {
            return Ok((
                TicketUpdate::parse(data, key_fields).map_err(Refusal::Malformed)?,
                None,
            ));
        }
        let (data, key_fields) = (data.clone(), key_fields.clone());
        let parse = move || TicketUpdate::parse(&data, &key_fields).map_err(Refusal::Malformed);
        let (update, permit) = self.readers.read(parse).await?;
        Ok((update?, Some(permit)))
    }

    /// Who sends records: the holder of a token, or else of a client certificate.
    fn holder(&self, request: &Inbound<'_>) -> Option<Result<Principal, TokenError>> {
        let token = access_token(&request.head.headers).map(|token| {
            self.identity
                .principal(token, request.shown, request.received)
        });
        token.or_else(|| self.certified(request))
    }

    /// The user that the client's certificate stands for.
    fn certified(&self, request: &Inbound<'_>) -> Option<Result<Principal, TokenError>> {
        request
            .certified
            .as_deref()
            .map(|email| self.identity.certified(email))
    }

    /// Who sends a ticket's change: the holder of a token, or else of Basic credentials, or else of
    /// a client certificate.
    async fn ticket_sender(&self, request: &Inbound<'_>) -> Result<Principal, Refusal> {
        let headers = &request.head.headers;
        if access_token(headers).is_none() {
            match authentication::basic(authorization(headers)) {
                BasicHeader::Absent => {}
                BasicHeader::Malformed => return Err(Refusal::WrongCredentials),
                BasicHeader::Present(basic) => {
                    return self.login(&basic, request, Refusal::WrongCredentials).await;
                }
            }
        }
        Ok(self.holder(request).ok_or(Refusal::AccessDenied)??)
    }

    async fn login(
        &self,
        basic: &Basic,
        request: &Inbound<'_>,
        wrong: Refusal,
    ) -> Result<Principal, Refusal> {
        self.identity
            .login(basic, request.peer)
            .await
            .map_err(|error| match error {
                LoginError::Invalid => wrong,
                LoginError::TooMany { retry_after } => Refusal::TooManyAttempts { retry_after },
                LoginError::Busy(_) => Refusal::LoginsBusy,
            })
    }

    /// `POST /api/v1/user/token`: contract, section 1.
    async fn token(&self, request: &Inbound<'_>) -> Result<Answer, Refusal> {
        let principal = match authentication::basic(authorization(&request.head.headers)) {
            BasicHeader::Present(basic) => self.login(&basic, request, Refusal::WrongLogin).await?,
            BasicHeader::Malformed => return Err(Refusal::WrongLogin),
            BasicHeader::Absent => self
                .certified(request)
                .and_then(Result::ok)
                .ok_or(Refusal::WrongLogin)?,
        };
        self.issue(&principal, request.received)
    }

    /// `POST /api/v1/user/token/refresh`
    async fn refresh(&self, request: &mut Inbound<'_>) -> Result<Answer, Refusal> {
        #[derive(serde::Deserialize)]
        struct RefreshRequest {
            refresh_token: String,
        }
        let data = self.body(request, None).await?;
        let Ok(RefreshRequest { refresh_token }) = serde_json::from_slice(&data) else {
            return Err(Refusal::NoRefreshToken);
        };
        let principal = self
            .identity
            .refresh(&refresh_token, request.received)
            .map_err(|_| Refusal::WrongRefreshToken)?;
        self.issue(&principal, request.received)
    }

    fn issue(&self, principal: &Principal, now: SystemTime) -> Result<Answer, Refusal> {
        let user = principal.user();
        authorization::may_call(user)?;
        let pair = self.identity.issue(principal, now).map_err(|error| {
            tracing::error!(%error, "cannot sign a token");
            Refusal::Internal
        })?;
        let directory = self.identity.directory().load();
        let customers = authorization::associations(&directory, user);
        Ok(Success::Tokens {
            user,
            customers,
            pair,
        }
        .into_answer())
    }

    /// The whole body. A topic that is full refuses before a byte of it is read: a stalled one must
    /// not have the memory filled with bodies that wait for nothing.
    async fn body(&self, request: &mut Inbound<'_>, topic: Option<Kind>) -> Result<Bytes, Refusal> {
        let limits = BodyLimits {
            size: self.body_size,
            time: self.body_time,
            rate: self.body_rate,
        };
        let encoding = request.body.admit(&request.head.headers, limits)?;
        if let Some(kind) = topic
            && self.topics[kind as usize].pipeline.is_full()
        {
            self.metrics.topic(kind).full(1);
            return Err(Refusal::Full(Limit::Queue));
        }
        let data = request.body.collect(encoding, limits, &self.memory).await?;
        Ok(record::without_bom(data))
    }

    /// The customer, if the user, as the directory has it now, may send for it.
    fn customer(&self, principal: &Principal, id: &str) -> Result<Arc<Customer>, Refusal> {
        let directory = self.identity.directory().load();
        let principal = intake::current(&directory, principal)?;
        intake::customer(&directory, &principal, id, &self.metrics).cloned()
    }

    /// Takes the records off what their customers may send.
    fn charge(&self, Accepted { records, customers }: &Accepted) -> Result<(), Refusal> {
        let mut rest = &records[..];
        for (customer, count) in customers {
            let (run, behind) = rest.split_at(*count);
            rest = behind;
            let bytes = run.iter().map(|record| record.data.len()).sum();
            if let Err(over) = self.quotas.take(customer, *count, bytes) {
                self.metrics.over_quota(records.len());
                self.count(customers, |_| false);
                return Err(over.into());
            }
        }
        Ok(())
    }

    fn context(&self, kind: Kind, principal: &Principal, request: &Inbound<'_>) -> Context {
        let traceparent = request.head.headers.get("traceparent");
        Context {
            source: Arc::clone(&self.source),
            kind: kind.event_type(),
            time: request.received,
            user: Arc::clone(&principal.user().email),
            integration: None,
            actionable_state: None,
            traceparent: traceparent
                .and_then(|value| record::traceparent(value.as_bytes()))
                .map(Into::into),
        }
    }

    /// Hands records to their topic and waits for what becomes of them. What a permit stands for is
    /// the topic's once it has them.
    async fn deliver(
        &self,
        kind: Kind,
        Accepted { records, customers }: Accepted,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Refusal> {
        let count = records.len();
        let receipt = self.topics[kind as usize]
            .pipeline
            .submit(records, Instant::now());
        drop(permit);
        let outcomes = match receipt {
            Ok(receipt) => receipt.outcomes().await,
            Err(refused) => {
                self.metrics.topic(kind).full(count);
                self.count(&customers, |_| false);
                return Err(match refused {
                    SubmitError::Full => Refusal::Full(Limit::Queue),
                    SubmitError::TooLarge => Refusal::TooMuch,
                });
            }
        };
        self.count(&customers, |index| outcomes[index] == Outcome::Delivered);
        verdict(&outcomes)
    }

    /// Counts each customer's records, by whether those of an index have been accepted.
    fn count(&self, customers: &Runs, accepted: impl Fn(usize) -> bool) {
        let mut begin = 0;
        for (customer, count) in customers {
            let accepted = (begin..begin + count)
                .filter(|index| accepted(*index))
                .count();
            self.metrics
                .customers()
                .add(&customer.id, accepted, count - accepted);
            begin += count;
        }
    }
}

/// What a client is told of its records' outcomes.
fn verdict(outcomes: &[Outcome]) -> Result<(), Refusal> {
    let indexes = |wanted: fn(&Outcome) -> bool| {
        let of = |(index, outcome)| wanted(outcome).then_some(index);
        outcomes
            .iter()
            .enumerate()
            .filter_map(of)
            .collect::<Vec<_>>()
    };
    if outcomes
        .iter()
        .all(|outcome| *outcome == Outcome::Delivered)
    {
        return Ok(());
    }
    let mut failed = indexes(|outcome| *outcome == Outcome::Retryable);
    let rejected = indexes(|outcome| matches!(outcome, Outcome::Rejected(_)));
    if failed.is_empty() {
        return Err(Refusal::Rejected { rejected });
    }
    if failed.len() == outcomes.len() {
        failed.clear();
    }
    Err(Refusal::Unconfirmed { failed, rejected })
}

/// Gives an answer that is not a 200 an id, which the log has too; and every answer where the log
/// wants to know.
fn identify(answer: &mut Answer, endpoint: Endpoint, request: &Inbound<'_>) {
    let status = answer.status();
    if status.is_success() && !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let id = record::next_id(request.received).to_string();
    let (status, peer) = (status.as_u16(), request.peer);
    if status == 500 {
        tracing::error!(request = id, ?endpoint, status, %peer, "answered");
    } else {
        tracing::debug!(request = id, ?endpoint, status, %peer, "answered");
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        answer.headers_mut().insert("x-request-id", id);
    }
}

pub(super) fn access_token(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    authentication::access_token(cookies, authorization(headers))
}

fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => Self::InvalidToken,
            TokenError::Expired => Self::ExpiredToken,
        }
    }
}

impl From<OverQuota> for Refusal {
    fn from(over: OverQuota) -> Self {
        match over {
            OverQuota::Until(retry_after) => Self::OverQuota { retry_after },
            OverQuota::Never => Self::OverBurst,
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Access => Self::AccessDenied,
            Denied::InactiveCustomer => Self::InactiveCustomer,
            Denied::NotAssociated => Self::NotAssociated,
        }
    }
}
