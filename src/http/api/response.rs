//! Every status and every message of the API. No other file holds one: clients in the field match
//! on both, so a change here is a change of the contract.

mod oauth;
mod parts;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, ETAG, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use iem_sink::Reason;
use serde::Serialize;

use super::deliver_once::Published;
use super::oauth::Metadata;
use super::rejection::Rejection;
use crate::http::transport::Answer;
use crate::identity::directory::{Customer, User};
use crate::identity::token::TokenPair;
use crate::telemetry::Endpoint;
use oauth::OAuthTokens;
use parts::{BASIC, fixed, insert, not_modified, not_stored};

pub use parts::json;

/// The header that names what a client wants to hold, and what holds.
pub(super) const DURABILITY: HeaderName = HeaderName::from_static("iem-durability");

/// The header by which a client makes requests that may be repeated.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer to a repeat.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The time that a client is asked to wait when the gateway is full. It is short, because queues
/// empty as fast as the sink writes.
const FULL_RETRY: Duration = Duration::from_secs(1);
/// The time that a client is asked to wait when the sink did not confirm, or for the keys of an external
/// issuer: longer, because an outage lasts longer than a full queue.
const UNCONFIRMED_RETRY: Duration = Duration::from_secs(5);

/// A request that succeeded, with what its answer needs.
pub(super) enum Success<'a> {
    /// The records are delivered or journaled.
    Published(Published),
    /// The ticket's change is delivered or journaled.
    TicketTaken(Published),
    /// The API is running.
    Running,
    /// A user has new tokens.
    Tokens {
        user: &'a User,
        customers: Vec<&'a Arc<Customer>>,
        pair: TokenPair,
    },
    /// A client of OAuth 2 has new tokens.
    OAuthTokens {
        access: &'a str,
        /// The seconds for which it holds.
        access_s: u64,
        refresh: Option<&'a str>,
    },
    /// A token is revoked.
    Revoked,
    /// The calls of OAuth 2.
    Metadata(&'a Metadata<'a>),
    /// The OpenAPI document of the API.
    OpenApi {
        /// `None` if the client has it.
        document: Option<&'static str>,
        tag: &'static str,
    },
}

impl Success<'_> {
    pub(super) fn into_answer(self) -> Answer {
        match self {
            Self::Published(published) => {
                held(r#"{"message":"Data published successfully"}"#, published)
            }
            Self::TicketTaken(published) => held(r#"{"message":"Success"}"#, published),
            Self::Running => fixed(r#"{"message":"API is running"}"#),
            Self::Tokens {
                user,
                customers,
                pair,
            } => not_stored(json(
                StatusCode::OK,
                &TokenAnswer::new(user, &customers, &pair),
            )),
            Self::OAuthTokens {
                access,
                access_s,
                refresh,
            } => OAuthTokens::new(access, access_s, refresh).into_answer(),
            Self::Revoked => not_stored(fixed("{}")),
            // It may tell a client the host that another one has named.
            Self::Metadata(metadata) => not_stored(json(StatusCode::OK, metadata)),
            Self::OpenApi { document, tag } => {
                let mut answer = document.map_or_else(not_modified, fixed);
                insert(&mut answer, ETAG, tag);
                answer
            }
        }
    }
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    status_code: u16,
    data: TokenData<'a>,
    msg: &'static str,
}

#[derive(Serialize)]
struct TokenData<'a> {
    email: &'a str,
    name: &'a str,
    is_superadmin: bool,
    access_token: &'a str,
    refresh_token: &'a str,
    associated_with_customers: Vec<AssociatedCustomer<'a>>,
}

#[derive(Serialize)]
struct AssociatedCustomer<'a> {
    customer_id: &'a str,
    customer_name: &'a str,
    is_active: bool,
}

impl<'a> TokenAnswer<'a> {
    fn new(user: &'a User, customers: &[&'a Arc<Customer>], pair: &'a TokenPair) -> Self {
        Self {
            status_code: 200,
            data: TokenData {
                email: &user.email,
                name: &user.name,
                is_superadmin: user.superadmin,
                access_token: &pair.access,
                refresh_token: &pair.refresh,
                associated_with_customers: customers
                    .iter()
                    .map(|customer| AssociatedCustomer {
                        customer_id: &customer.id,
                        customer_name: &customer.name,
                        is_active: customer.active,
                    })
                    .collect(),
            },
            msg: "",
        }
    }
}

/// The body of a rejection. The message stands first: some clients keep no more than 256 bytes.
#[derive(Default, Serialize)]
struct RejectionBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<usize>,
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    failed: &'a [usize],
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    rejected: &'a [usize],
}

impl Rejection {
    /// Returns the answer of this endpoint. The token endpoint says `detail` where the others say
    /// `message`, and none of its answers may be stored.
    pub fn into_answer(self, endpoint: Endpoint) -> Answer {
        if endpoint == Endpoint::OAuth {
            return self.into_oauth_answer();
        }
        let text = self.text();
        let of_token = endpoint == Endpoint::Token;
        let mut body = RejectionBody::default();
        if of_token {
            body.detail = Some(&text);
        } else {
            body.message = Some(&text);
        }
        if let Self::Unconfirmed { failed, rejected } = &self {
            body.failed = failed;
            body.rejected = rejected;
        }
        if let Self::NeverTaken { rejected, .. } = &self {
            body.rejected = rejected;
        }
        if let Self::OfRecord { index, .. } = self {
            body.record = Some(index);
        }
        let mut answer = json(self.status(), &body);
        self.ask_to_wait(&mut answer);
        if let Self::MethodNotAllowed { allow } = self {
            insert(&mut answer, ALLOW, allow);
        }
        if answer.status() == StatusCode::UNAUTHORIZED {
            let challenge = match self {
                Self::MissingCredentials => r#"Bearer, Basic realm="IEM""#,
                Self::WrongPublisher => BASIC,
                _ if of_token => BASIC,
                _ => "Bearer",
            };
            insert(&mut answer, WWW_AUTHENTICATE, challenge);
        }
        if of_token { not_stored(answer) } else { answer }
    }

    fn ask_to_wait(&self, answer: &mut Answer) {
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let headers = answer.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Ambiguous
            | Self::NoRefreshToken
            | Self::UnknownDurability
            | Self::WrongIdempotencyKey
            | Self::BodyBroken
            | Self::Undecodable(_)
            | Self::Malformed(_)
            | Self::NoIntegration => StatusCode::BAD_REQUEST,
            Self::OfRecord { rejection, .. } => rejection.status(),
            Self::OAuth(fault) => fault.status(),
            Self::WrongLogin
            | Self::WrongPublisher
            | Self::WrongRefreshToken
            | Self::MissingToken
            | Self::MissingCredentials
            | Self::InvalidToken
            | Self::ExpiredToken
            | Self::InactiveCustomer
            | Self::NotAssociated => StatusCode::UNAUTHORIZED,
            Self::AccessDenied | Self::WrongCredentials => StatusCode::FORBIDDEN,
            Self::NotFound | Self::UnknownIntegration => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } | Self::TooMuch | Self::NeverTaken { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::TooManyHeaders { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::EncodingNotServed | Self::Encoded | Self::FormatNotServed => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::TooManyAttempts { .. } | Self::OverQuota { .. } | Self::OverBurst => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::IdempotencyKeyReused | Self::EventReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::LoginsBusy
            | Self::DirectoryTooOld
            | Self::KeysAwaited
            | Self::BodyLate(_)
            | Self::TooManyRequests
            | Self::Full(_)
            | Self::Unconfirmed { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the message.
    pub fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Ambiguous => "One Host is needed, and no Transfer-Encoding but chunked",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed { .. } => "Method not allowed",
            Self::Internal => "Internal server error",
            Self::WrongLogin => "Invalid username/password.",
            Self::TooManyAttempts { .. } => "Too many failed attempts.",
            Self::LoginsBusy => "Too many logins at once, try again later.",
            Self::DirectoryTooOld => "The directory is out of date, try again later",
            Self::WrongRefreshToken => "Invalid refresh token.",
            Self::NoRefreshToken => "The body is not a JSON object with a string refresh_token.",
            Self::UnknownDurability => "IEM-Durability must be delivered or journaled",
            Self::WrongIdempotencyKey => {
                "Idempotency-Key must be given once and have 1 to 255 printable ASCII characters"
            }
            Self::IdempotencyKeyReused => {
                "The Idempotency-Key was used for another body or IEM-Durability, use a new one"
            }
            Self::EventReused => {
                "The event's source and id were used for other data or IEM-Durability, use a new id"
            }
            Self::AccessDenied => "Access denied",
            Self::MissingToken | Self::MissingCredentials => "Missing access token",
            Self::InvalidToken => "Invalid access token",
            Self::ExpiredToken => "Access token has expired",
            Self::KeysAwaited => "The issuer's keys are not there yet, try again later",
            Self::WrongCredentials | Self::WrongPublisher => "Invalid credentials",
            Self::OAuth(fault) => return fault.text(),
            Self::UriTooLong { limit } => {
                return Cow::Owned(format!(
                    "The path and its query are longer than the {limit} bytes that are taken"
                ));
            }
            Self::TooManyHeaders { limit } => {
                return Cow::Owned(format!(
                    "The request has more than the {limit} headers that are taken"
                ));
            }
            Self::BodyTooLarge { limit } => {
                return Cow::Owned(format!(
                    "The body is larger than the {limit} bytes that are taken"
                ));
            }
            Self::EncodingNotServed => {
                "The body's Content-Encoding is not served: \
                 gzip, deflate, zstd or identity is, and one alone"
            }
            Self::Encoded => "The body of this call must have no Content-Encoding",
            Self::FormatNotServed => {
                "The body's format of CloudEvents is not served: application/cloudevents+json, \
                 application/cloudevents-batch+json and application/x-ndjson are"
            }
            Self::BodyLate(_) => "The body did not arrive in time, try again",
            Self::BodyBroken => "The body broke off or is not framed as HTTP/1.1 requires",
            Self::Undecodable(error) => return Cow::Owned(error.to_string()),
            Self::Malformed(malformed) => return Cow::Owned(malformed.to_string()),
            Self::OfRecord { rejection, .. } => return rejection.text(),
            Self::InactiveCustomer => "Data has been sent for inactive customer",
            Self::NotAssociated => "User is not associated with the customer",
            Self::OverQuota { .. } => "The customer is over its quota, try again later",
            Self::OverBurst => {
                "The customer may never send so much at once, send less in a request"
            }
            Self::NoIntegration => "The query parameter integrationid is missing or empty",
            Self::UnknownIntegration => "Integration not found",
            Self::TooManyRequests => "Too many requests at once, try again later",
            Self::Full(_) => "The gateway is full, try again later",
            Self::TooMuch => "The request is larger than the topic's queue, send less at once",
            Self::Unconfirmed { .. } => "The delivery was not confirmed in time, try again later",
            Self::NeverTaken { reason, .. } => match reason {
                Reason::TooLarge { .. } => "The record is larger than the topic takes",
                Reason::Schema => "The record does not fit the topic's schema",
            },
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry_after } | Self::OverQuota { retry_after } => {
                Some(*retry_after)
            }
            Self::Unconfirmed { .. } | Self::KeysAwaited => Some(UNCONFIRMED_RETRY),
            Self::OverBurst => Some(FULL_RETRY),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(FULL_RETRY),
            _ => None,
        }
    }
}

/// The whole answer to a client over a bound on connections. None of its requests has been read.
pub(super) const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 51\r\n\
    Retry-After: 1\r\n\
    Connection: close\r\n\
    \r\n\
    {\"message\":\"Too many connections, try again later\"}";

/// Returns an answer that names what holds of the records, and whether it is a repeat's.
fn held(body: &'static str, published: Published) -> Answer {
    let mut answer = fixed(body);
    insert(&mut answer, DURABILITY, published.durability.name());
    if published.is_replayed {
        insert(&mut answer, REPLAYED, "true");
    }
    answer
}

#[cfg(test)]
mod tests;
