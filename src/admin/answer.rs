//! The forms of the admin listener's answers.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

use crate::http::transport::Answer;

/// The policy for browsers: they show a page with the style from here, and load nothing else.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
                                 form-action 'none'; frame-ancestors 'none'";

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";

/// Returns a page with this policy for browsers.
///
/// The referrer stays on our site. With none at all a browser would not say the origin of a form.
pub(super) fn page(
    text: impl Into<Bytes>,
    content_type: &'static str,
    policy: &'static str,
) -> Answer {
    let mut answer = Answer::new(text.into().into());
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
    ] {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// Returns the answer as one that no cache keeps.
pub(super) fn not_stored(mut answer: Answer) -> Answer {
    let value = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, value);
    answer
}

/// Returns an answer that sends a browser to this path of ours by GET.
pub(super) fn redirect(path: &str) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let path = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, path);
    not_stored(answer)
}
