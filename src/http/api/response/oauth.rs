//! The answers of OAuth 2: tokens (RFC 6749, section 5.1) and errors (section 5.2).

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::{PRAGMA, WWW_AUTHENTICATE};
use serde::Serialize;

use super::parts::{BASIC, insert, json, not_stored};
use crate::http::api::oauth::OAuthFault;
use crate::http::api::rejection::Rejection;
use crate::http::transport::Answer;

#[derive(Serialize)]
pub(super) struct OAuthTokens<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

impl<'a> OAuthTokens<'a> {
    pub(super) fn new(access: &'a str, access_s: u64, refresh: Option<&'a str>) -> Self {
        Self {
            access_token: access,
            token_type: "Bearer",
            expires_in: access_s,
            refresh_token: refresh,
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let mut answer = json(StatusCode::OK, &self);
        insert(&mut answer, PRAGMA, "no-cache");
        not_stored(answer)
    }
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    error: &'static str,
    error_description: &'a str,
}

impl Rejection {
    /// Returns the answer of a call of OAuth 2.
    pub(super) fn into_oauth_answer(self) -> Answer {
        let (status, error) = self.oauth_error();
        let body = ErrorAnswer {
            error,
            error_description: &self.text(),
        };
        let mut answer = json(status, &body);
        self.ask_to_wait(&mut answer);
        if status == StatusCode::UNAUTHORIZED {
            insert(&mut answer, WWW_AUTHENTICATE, BASIC);
        }
        not_stored(answer)
    }

    fn oauth_error(&self) -> (StatusCode, &'static str) {
        match self {
            Self::OAuth(fault) => (fault.status(), fault.error()),
            Self::WrongRefreshToken => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::AccessDenied => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            _ => {
                let status = self.status();
                let error = match status {
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                        "temporarily_unavailable"
                    }
                    StatusCode::INTERNAL_SERVER_ERROR => "server_error",
                    _ => "invalid_request",
                };
                (status, error)
            }
        }
    }
}

impl OAuthFault {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::NotAForm
            | Self::Missing(_)
            | Self::Twice(_)
            | Self::TooLong(_)
            | Self::TwoClients
            | Self::UnknownGrant
            | Self::WrongPassword => StatusCode::BAD_REQUEST,
            Self::WrongClient => StatusCode::UNAUTHORIZED,
            Self::NotSaved => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error(self) -> &'static str {
        match self {
            Self::NotAForm
            | Self::Missing(_)
            | Self::Twice(_)
            | Self::TooLong(_)
            | Self::TwoClients => "invalid_request",
            Self::UnknownGrant => "unsupported_grant_type",
            Self::WrongPassword => "invalid_grant",
            Self::WrongClient => "invalid_client",
            Self::NotSaved => "temporarily_unavailable",
        }
    }

    /// Returns the description. It has no quotes and no backslash (RFC 6749, section 5.2).
    pub(super) fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotAForm => "The body must be application/x-www-form-urlencoded",
            Self::Missing(name) => {
                return Cow::Owned(format!("The parameter {name} is missing or empty"));
            }
            Self::Twice(name) => return Cow::Owned(format!("The parameter {name} is given twice")),
            Self::TooLong(name) => return Cow::Owned(format!("The parameter {name} is too long")),
            Self::NotSaved => "The revocation could not be saved, try again later",
            Self::TwoClients => {
                "Client credentials must be in the Authorization header or in the body, not in both"
            }
            Self::UnknownGrant => {
                "grant_type must be client_credentials, password or refresh_token"
            }
            Self::WrongPassword => "Invalid username/password.",
            Self::WrongClient => "Invalid client credentials",
        })
    }
}
