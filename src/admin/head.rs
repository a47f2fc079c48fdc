//! The head of a request, read without doubt. Pure.

use hyper::header::{ACCEPT, HeaderName};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

/// Returns the value of a header that is given once.
pub(super) fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.as_bytes())
}

/// Returns whether the request asks for a page, and changes nothing.
pub(super) fn reads(head: &Parts) -> bool {
    matches!(head.method, Method::GET | Method::HEAD)
}

/// Returns whether a browser is about to show the answer to a person.
pub(super) fn is_navigation(head: &Parts) -> bool {
    let accepts = one(&head.headers, &ACCEPT).unwrap_or_default();
    let mut kinds = accepts.split(|byte| matches!(byte, b',' | b';'));
    reads(head) && kinds.any(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/html"))
}
