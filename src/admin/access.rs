//! Decides who may look at the admin listener, and who may change something there.
//!
//! Its users are the superadmins of the directory, which is asked at each request. A browser shows a
//! cookie of this listener's own, a program an access token, and whoever scrapes metrics may show a
//! password, too. Where only this machine reaches the listener, nobody has to show anything unless
//! the configuration says so. A browser is then known by the host that it names, and in any case by a
//! token of the page that asks for a change.

mod origin;
mod secret;
mod sessions;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use constant_time_eq::constant_time_eq;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};

use super::inbound::Inbound;
use super::refusal::Refusal;
use crate::config;
use crate::http::api::Rejection;
use crate::identity::authentication::{self, Basic, BasicHeader};
use crate::identity::authorization::may_administer;
use crate::identity::{Identity, LastToken, Principal};
use crate::telemetry::{Metrics, audit};
use origin::{Hosts, is_of_our_site};
use secret::secret;
use sessions::{Sessions, digest};

/// The header that carries a page's token, where no form does.
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The field of a form that carries it.
pub(super) const CSRF_FIELD: &str = "csrf";
/// The name of this listener in the audit log.
const ENDPOINT: &str = "admin";

/// Decides who may look, and who may change something.
pub struct Access {
    identity: Arc<Identity>,
    metrics: Arc<Metrics>,
    pages_need_login: bool,
    metrics_need_login: bool,
    is_secure: bool,
    hosts: Hosts,
    sessions: RefCell<Sessions>,
    /// The token of pages that were shown without a log-in.
    local_csrf: Arc<str>,
}

/// Somebody who may look.
pub(super) enum Viewer {
    /// Anybody on this machine, with the token for changes.
    Local(Arc<str>),
    /// A superadmin.
    User(User),
}

/// A superadmin who has logged in.
pub(super) struct User {
    pub(super) email: Arc<str>,
    /// The token for changes. Who shows an access token needs none: no browser sends one unasked.
    csrf: Option<Arc<str>>,
    proof: Proof,
}

/// A superadmin whose proof holds.
struct Checked {
    email: Arc<str>,
    csrf: Option<Arc<str>>,
    /// It is an external token that is new here.
    is_log_in: bool,
}

/// The proof that a user has shown.
enum Proof {
    /// The digest of a session's id.
    Session(blake3::Hash),
    Token(Box<[u8]>),
}

impl Viewer {
    /// Returns the token that the viewer's pages send with a change.
    pub(super) fn csrf(&self) -> &str {
        match self {
            Self::Local(csrf) => csrf,
            Self::User(user) => user.csrf.as_deref().unwrap_or_default(),
        }
    }

    /// Returns the user's email, if there was a log-in.
    pub(super) fn email(&self) -> Option<&str> {
        match self {
            Self::Local(_) => None,
            Self::User(user) => Some(&user.email),
        }
    }
}

impl Access {
    /// Takes the listener's configuration, and the gateway's URL, which may be empty. Opens nothing.
    pub fn new(
        identity: Arc<Identity>,
        metrics: Arc<Metrics>,
        admin: &config::Admin,
        url: &str,
    ) -> Self {
        Self {
            identity,
            metrics,
            pages_need_login: admin.pages_need_login(),
            metrics_need_login: admin.metrics_need_login(),
            is_secure: admin.tls.is_on(),
            hosts: Hosts::new(url),
            sessions: RefCell::default(),
            local_csrf: secret().into(),
        }
    }

    /// Returns who asks for a page that shows more than probes do.
    ///
    /// # Errors
    /// A log-in is needed.
    pub(super) fn viewer(&self, request: &Inbound<'_>) -> Result<Viewer, Refusal> {
        match self.user(request) {
            Ok(user) => Ok(Viewer::User(user)),
            Err(_) if !self.pages_need_login && self.hosts.are_asked(&request.head) => {
                request.place.has_proved();
                Ok(Viewer::Local(Arc::clone(&self.local_csrf)))
            }
            Err(rejection) => Err(Self::turned_away(request, rejection)),
        }
    }

    /// Returns the superadmin who asks for what needs a log-in everywhere.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn superadmin(&self, request: &Inbound<'_>) -> Result<User, Refusal> {
        self.user(request)
            .map_err(|rejection| Self::turned_away(request, rejection))
    }

    /// Checks that metrics may be shown.
    ///
    /// # Errors
    /// A log-in is needed: by what [`viewer`](Self::viewer) takes, or by a password.
    pub(super) async fn scraper(&self, request: &Inbound<'_>) -> Result<(), Refusal> {
        if !self.metrics_need_login {
            return Ok(());
        }
        let Err(refused) = self.user(request) else {
            return Ok(());
        };
        match authentication::basic(request.header(&AUTHORIZATION)) {
            BasicHeader::Absent => Err(Self::turned_away(request, refused)),
            BasicHeader::Malformed => Err(Rejection::WrongPublisher.into()),
            BasicHeader::Present(basic) => {
                // Not a log-in: nothing was hashed.
                let principal = match self.identity.recall(&basic, request.peer) {
                    Some(principal) => principal,
                    None => {
                        self.by_password(request, &basic, Rejection::WrongPublisher)
                            .await?
                    }
                };
                Self::admit(request, &principal)
            }
        }
    }

    /// Begins a session, and returns its cookie.
    ///
    /// # Errors
    /// The credentials are wrong or no superadmin's, or there were too many attempts.
    pub(super) async fn log_in(
        &self,
        request: &Inbound<'_>,
        basic: &Basic,
    ) -> Result<HeaderValue, Refusal> {
        let principal = self
            .by_password(request, basic, Rejection::WrongLogin)
            .await?;
        Self::admit(request, &principal)?;
        self.end_sessions(request);
        let user = principal.user();
        let session = self.identity.begin(&principal, None, request.received);
        let mut sessions = self.sessions.borrow_mut();
        let id = sessions.begin(&user.email, user.password_version, session, request.now);
        Ok(self.cookie(&id, ""))
    }

    /// Ends the session of a browser, and returns a cookie that takes the place of its cookie.
    pub(super) fn log_out(&self, request: &Inbound<'_>) -> HeaderValue {
        self.end_sessions(request);
        self.cookie("", "; Max-Age=0")
    }

    /// Checks that the viewer's own page asks for a change. `field` is the token in the form, if a
    /// form was sent.
    ///
    /// # Errors
    /// Another page has caused the request, or may have.
    pub(super) fn may_change(
        request: &Inbound<'_>,
        viewer: &Viewer,
        field: Option<&str>,
    ) -> Result<(), Refusal> {
        Self::check_site(request)?;
        let csrf = match viewer {
            Viewer::User(User { csrf: None, .. }) => return Ok(()),
            viewer => viewer.csrf(),
        };
        let header = request.header(&CSRF_HEADER);
        let shown = header.or(field.map(str::as_bytes)).unwrap_or_default();
        if constant_time_eq(shown, csrf.as_bytes()) {
            Ok(())
        } else {
            Err(Refusal::NoPageToken)
        }
    }

    /// Checks that no page of another site has caused the request.
    ///
    /// # Errors
    /// One has.
    pub(super) fn check_site(request: &Inbound<'_>) -> Result<(), Refusal> {
        if is_of_our_site(&request.head) {
            Ok(())
        } else {
            Err(Refusal::OtherSite)
        }
    }

    /// Whether the viewer of an event stream may still look. It counts as use of the session.
    pub(super) fn still_admits(&self, viewer: &Viewer, now: Instant, time: SystemTime) -> bool {
        match viewer {
            Viewer::Local(_) => true,
            Viewer::User(user) => self.check(&user.proof, now, time).is_ok(),
        }
    }

    /// Returns the superadmin whose session or access token the request shows.
    fn user(&self, request: &Inbound<'_>) -> Result<User, Rejection> {
        let sessions = self.shown_sessions(request).map(Proof::Session);
        let token = request.header(&AUTHORIZATION);
        let token = token.and_then(authentication::bearer);
        let token = token.map(|token| Proof::Token(token.into()));
        let mut rejection = Rejection::MissingToken;
        for proof in sessions.chain(token) {
            match self.check(&proof, request.now, request.received) {
                Ok(Checked {
                    email,
                    csrf,
                    is_log_in,
                }) => {
                    request.place.has_proved();
                    if is_log_in {
                        audit::log_in(audit_entry(request, Some(&email)), None);
                    }
                    return Ok(User { email, csrf, proof });
                }
                Err(error) => rejection = error,
            }
        }
        Err(rejection)
    }

    /// Returns the superadmin whose proof this is.
    fn check(&self, proof: &Proof, now: Instant, time: SystemTime) -> Result<Checked, Rejection> {
        match proof {
            Proof::Session(id) => {
                let mut sessions = self.sessions.borrow_mut();
                let kept = sessions.used(id, now).ok_or(Rejection::MissingToken)?;
                let found = self
                    .identity
                    .resume(&kept.email, kept.password, &kept.session)
                    .filter(|principal| may_administer(principal.user()).is_ok())
                    .map(|_| Checked {
                        email: Arc::clone(&kept.email),
                        csrf: Some(Arc::clone(&kept.csrf)),
                        is_log_in: false,
                    });
                if found.is_none() {
                    sessions.end(id);
                }
                found.ok_or(Rejection::MissingToken)
            }
            Proof::Token(token) => {
                let last = LastToken::default();
                let principal = self.identity.principal(token, None, &last, time)?;
                may_administer(principal.user())?;
                Ok(Checked {
                    email: Arc::clone(&principal.user().email),
                    csrf: None,
                    is_log_in: principal.has_logged_in(),
                })
            }
        }
    }

    /// Returns the user of a password. A wrong one is rejected as `wrong`.
    async fn by_password(
        &self,
        request: &Inbound<'_>,
        basic: &Basic,
        wrong: Rejection,
    ) -> Result<Principal, Rejection> {
        let directory = self.identity.directory();
        let known = directory.load().user(&basic.user).cloned();
        let found = self.identity.login(basic, request.peer).await;
        let found = found.map_err(|error| Rejection::of_log_in(error, wrong));
        let rejection = found.as_ref().err();
        if let Some(limit) = rejection.and_then(Rejection::limit) {
            self.metrics.reached(limit);
        }
        let refusal = rejection.and_then(Rejection::wrong_credentials);
        let user = known.as_ref().map(|user| &*user.email);
        audit::log_in(audit_entry(request, user), refusal);
        found
    }

    /// Checks that the user of a password is a superadmin.
    fn admit(request: &Inbound<'_>, principal: &Principal) -> Result<(), Refusal> {
        let user = principal.user();
        may_administer(user).inspect_err(|_| {
            let entry = audit_entry(request, Some(&user.email));
            audit::refused(entry, ENDPOINT, "no superadmin");
        })?;
        request.place.has_proved();
        Ok(())
    }

    /// Turns a request away that has shown the wrong thing or nothing.
    fn turned_away(request: &Inbound<'_>, rejection: Rejection) -> Refusal {
        if let Some(reason) = rejection.denied() {
            let is_user = matches!(rejection, Rejection::AccessDenied);
            let reason = if is_user { "no superadmin" } else { reason };
            audit::refused(audit_entry(request, None), ENDPOINT, reason);
        }
        rejection.into()
    }

    fn end_sessions(&self, request: &Inbound<'_>) {
        let mut sessions = self.sessions.borrow_mut();
        for id in self.shown_sessions(request) {
            sessions.end(&id);
        }
    }

    /// Returns the digests of the cookies of our name. Another service on the host may have set one
    /// more.
    fn shown_sessions(&self, request: &Inbound<'_>) -> impl Iterator<Item = blake3::Hash> {
        let headers = request.head.headers.get_all(COOKIE).iter();
        let headers = headers.map(HeaderValue::as_bytes);
        authentication::cookies(headers, self.cookie_name()).map(digest)
    }

    /// A browser takes a cookie of the first name over TLS alone, and from this host alone.
    fn cookie_name(&self) -> &'static str {
        if self.is_secure {
            "__Host-iem-admin"
        } else {
            "iem-admin"
        }
    }

    fn cookie(&self, value: &str, more: &str) -> HeaderValue {
        let name = self.cookie_name();
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
        HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
    }
}

pub(super) fn audit_entry<'r>(
    request: &'r Inbound<'_>,
    user: Option<&'r str>,
) -> audit::Request<'r> {
    audit::Request {
        id: request.id(),
        peer: request.peer,
        user,
        trace_id: None,
    }
}
