//! The entries of a request in the audit log: its log-in, the tokens that it got, the reason why its
//! user may not make it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::rejection::Rejection;
use crate::http::transport::Answer;
use crate::telemetry::{Endpoint, audit};

/// The notes on a request while it is checked.
#[derive(Default)]
pub(super) struct Trail {
    user: RefCell<Option<Arc<str>>>,
    has_logged_in: Cell<bool>,
    /// The client that has shown its own credentials beside those of the user.
    client: RefCell<Option<Arc<str>>>,
    has_revoked: Cell<bool>,
}

impl Trail {
    /// Notes the user that the request is of, or says it is of.
    pub(super) fn set_user(&self, email: &Arc<str>) {
        *self.user.borrow_mut() = Some(Arc::clone(email));
    }

    /// Returns the user that the request is of, or says it is of.
    pub(super) fn user(&self) -> Option<Arc<str>> {
        self.user.borrow().clone()
    }

    /// Notes that the request has shown a password or a certificate in place of a token.
    pub(super) fn set_log_in(&self) {
        self.has_logged_in.set(true);
    }

    /// Notes that the user who has logged in, if there is one, is the client of the request alone:
    /// the request is about another, who has yet to show something.
    pub(super) fn set_client(&self) {
        if self.has_logged_in.take() {
            *self.client.borrow_mut() = self.user.take();
        }
    }

    /// Notes that the user has ended a session.
    pub(super) fn set_revoked(&self) {
        self.has_revoked.set(true);
    }
}

/// The end of a log-in.
enum LogIn {
    Accepted,
    Refused(&'static str),
}

/// The entries of one request.
pub(super) struct Entries {
    client_log_in: bool,
    log_in: Option<LogIn>,
    tokens_issued: bool,
    session_revoked: bool,
    refused: Option<&'static str>,
}

impl Entries {
    /// Returns the entries of a request with this result. `issues_tokens` says whether its endpoint
    /// does.
    pub(super) fn of(
        trail: &Trail,
        issues_tokens: bool,
        result: Result<&Answer, &Rejection>,
    ) -> Self {
        let rejection = result.err();
        let wrong = rejection.and_then(Rejection::wrong_credentials);
        let log_in = match wrong {
            Some(reason) => Some(LogIn::Refused(reason)),
            // Of a fault in the gateway itself nobody knows how far it came.
            None if matches!(rejection, Some(Rejection::Internal)) => None,
            None => trail.has_logged_in.get().then_some(LogIn::Accepted),
        };
        Self {
            client_log_in: trail.client.borrow().is_some(),
            log_in,
            tokens_issued: issues_tokens && result.is_ok(),
            session_revoked: trail.has_revoked.get(),
            refused: rejection.and_then(Rejection::denied),
        }
    }

    /// Whether there are none.
    pub(super) fn are_none(&self) -> bool {
        let has_flag = self.client_log_in || self.tokens_issued || self.session_revoked;
        !has_flag && self.log_in.is_none() && self.refused.is_none()
    }

    /// Writes them, of a request whose user the trail knows.
    pub(super) fn write(&self, trail: &Trail, request: audit::Request<'_>, endpoint: Endpoint) {
        let user = trail.user.borrow();
        let of_request = audit::Request {
            user: user.as_deref(),
            ..request
        };
        if self.client_log_in {
            let client = trail.client.borrow();
            let of_client = audit::Request {
                user: client.as_deref(),
                ..of_request
            };
            audit::log_in(of_client, None);
        }
        match self.log_in {
            Some(LogIn::Accepted) => audit::log_in(of_request, None),
            Some(LogIn::Refused(reason)) => audit::log_in(of_request, Some(reason)),
            None => {}
        }
        if self.tokens_issued {
            audit::tokens_issued(of_request);
        }
        if self.session_revoked {
            audit::session_revoked(of_request);
        }
        if let Some(reason) = self.refused {
            audit::refused(of_request, endpoint.label(), reason);
        }
    }
}
