//! The reasons why a request to the admin listener is turned away, and the answers. What the API says
//! too is said by its own rejections.

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;

use super::answer::{not_stored, redirect};
use super::head::is_navigation;
use super::return_path::return_path;
use crate::http::api::{Rejection, json};
use crate::http::transport::Answer;
use crate::identity::authorization::Denied;
use crate::telemetry::Endpoint;

/// The reason why a request is turned away.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A reason that the API knows, too.
    Rejection(Rejection),
    /// A page of another site has caused the request, which changes something.
    OtherSite,
    /// The request changes something, and has not the token of a page of ours.
    NoPageToken,
    /// The body is no form.
    NoForm,
    /// All places for event streams are taken.
    TooManyStreams,
    /// Dead letters are being sent again already, or the gateway is about to end.
    NoReplayNow,
}

/// The challenges of a page that takes a token or a password.
const CHALLENGES: &str = r#"Bearer, Basic realm="IEM""#;

impl Refusal {
    /// Returns the answer to a request with this head. A browser that has to log in for a page is
    /// sent to the log-in. Other clients are asked for a token or, where `takes_basic`, a password.
    pub(super) fn into_answer(self, head: &Parts, takes_basic: bool) -> Answer {
        let mut answer = match self {
            Self::Rejection(rejection) => rejection.into_answer(Endpoint::Other),
            Self::OtherSite => refused(
                StatusCode::FORBIDDEN,
                "The request was caused by a page of another site",
            ),
            Self::NoPageToken => refused(
                StatusCode::FORBIDDEN,
                "The page is out of date, load it again",
            ),
            Self::NoForm => refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/x-www-form-urlencoded",
            ),
            Self::TooManyStreams => refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many event streams at once, try again later",
            ),
            Self::NoReplayNow => refused(
                StatusCode::CONFLICT,
                "Dead letters are being sent again, of this topic or of another: wait until that has ended",
            ),
        };
        if answer.status() == StatusCode::UNAUTHORIZED {
            if is_navigation(head) {
                answer = redirect(&log_in_path(head));
            } else if takes_basic {
                let challenges = HeaderValue::from_static(CHALLENGES);
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenges);
            }
        }
        not_stored(answer)
    }
}

fn refused(status: StatusCode, message: &str) -> Answer {
    json(status, &serde_json::json!({ "message": message }))
}

/// Returns the path of the log-in that leads back to what was asked for.
fn log_in_path(head: &Parts) -> String {
    let asked_for = head.uri.path_and_query().map(PathAndQuery::as_str);
    match asked_for.and_then(return_path) {
        Some(path) => {
            let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
            format!("/login?next={next}")
        }
        None => "/login".to_owned(),
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::Rejection(denied.into())
    }
}
