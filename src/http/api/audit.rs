//! The entries of a request in the audit log: its log-in, the tokens that it got, the reason why its
//! user may not make it.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use super::rejection::Rejection;
use crate::http::transport::Answer;
use crate::telemetry::{Endpoint, audit};

/// The notes on a request while it is checked.
#[derive(Default)]
pub(super) struct Trail {
    user: RefCell<Option<Arc<str>>>,
    has_logged_in: Cell<bool>,
}

impl Trail {
    /// Notes the user that the request is of, or says it is of.
    pub(super) fn set_user(&self, email: &Arc<str>) {
        *self.user.borrow_mut() = Some(Arc::clone(email));
    }

    /// Notes that the request has shown a password or a certificate in place of a token.
    pub(super) fn set_log_in(&self) {
        self.has_logged_in.set(true);
    }
}

/// The end of a log-in.
enum LogIn {
    Accepted,
    Refused(&'static str),
}

/// The entries of one request.
pub(super) struct Entries {
    log_in: Option<LogIn>,
    tokens_issued: bool,
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
            log_in,
            tokens_issued: issues_tokens && result.is_ok(),
            refused: rejection.and_then(Rejection::denied),
        }
    }

    /// Whether there are none.
    pub(super) fn are_none(&self) -> bool {
        self.log_in.is_none() && !self.tokens_issued && self.refused.is_none()
    }

    /// Writes them, of a request from this peer. `id` is the id that the answer has, too.
    pub(super) fn write(&self, trail: &Trail, peer: IpAddr, endpoint: Endpoint, id: &str) {
        let user = trail.user.borrow();
        let of_request = audit::Request {
            id,
            peer,
            user: user.as_deref(),
        };
        match self.log_in {
            Some(LogIn::Accepted) => audit::log_in(of_request, None),
            Some(LogIn::Refused(reason)) => audit::log_in(of_request, Some(reason)),
            None => {}
        }
        if self.tokens_issued {
            audit::tokens_issued(of_request);
        }
        if let Some(reason) = self.refused {
            audit::refused(of_request, endpoint, reason);
        }
    }
}
