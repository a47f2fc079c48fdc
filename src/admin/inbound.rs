//! A request to the admin listener while it is being answered.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use hyper::http::request::Parts;

use super::head::one;
use super::places::Occupant;
use super::refusal::Refusal;
use crate::http::api::{FORM, Rejection, without_parameters};
use crate::telemetry::Limit;

/// The time for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request that is being answered.
pub(super) struct Inbound<'a> {
    pub(super) head: Parts,
    body: Option<Incoming>,
    /// The client's address.
    pub(super) peer: IpAddr,
    /// The time at which the request came, for what lasts within the process.
    pub(super) now: Instant,
    /// The same for what other machines have to agree on.
    pub(super) received: SystemTime,
    pub(super) place: &'a Occupant,
    id: OnceCell<String>,
}

impl<'a> Inbound<'a> {
    pub(super) fn new(request: Request<Incoming>, peer: IpAddr, place: &'a Occupant) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head,
            body: Some(body),
            peer,
            now: Instant::now(),
            received: SystemTime::now(),
            place,
            id: OnceCell::new(),
        }
    }

    /// Returns the path without a slash at its end.
    pub(super) fn path(&self) -> &str {
        let path = self.head.uri.path();
        path.strip_suffix('/').unwrap_or(path)
    }

    /// Returns the value of a header, if it is given once.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        one(&self.head.headers, name)
    }

    /// Returns the id of the request, which the audit log and the answer have.
    pub(super) fn id(&self) -> &str {
        self.id.get_or_init(|| uuid::Uuid::now_v7().to_string())
    }

    /// Returns the id of the request if anybody has asked for it.
    pub(super) fn known_id(&self) -> Option<&str> {
        self.id.get().map(String::as_str)
    }

    /// Reads the fields of a form of at most `bytes_max` bytes. They may hold secrets.
    ///
    /// # Errors
    /// The body is no form, is too large, comes too late or breaks off.
    pub(super) async fn form(&mut self, bytes_max: usize) -> Result<Form, Refusal> {
        let media_type = self.header(&CONTENT_TYPE).map(without_parameters);
        if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(FORM)) {
            return Err(Refusal::NoForm);
        }
        Ok(Form(self.bytes(bytes_max).await?))
    }

    /// Reads the whole body, at most `bytes_max` bytes of it.
    ///
    /// # Errors
    /// The body is too large, encoded, comes too late or breaks off.
    pub(super) async fn bytes(&mut self, bytes_max: usize) -> Result<Bytes, Rejection> {
        if self.head.headers.contains_key(CONTENT_ENCODING) {
            return Err(Rejection::Encoded);
        }
        let body = self.body.take().ok_or(Rejection::Internal)?;
        let read = Limited::new(body, bytes_max).collect();
        match tokio::time::timeout(BODY_TIME, read).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Rejection::BodyTooLarge { limit: bytes_max })
            }
            Ok(Err(_)) => Err(Rejection::BodyBroken),
            Err(_) => Err(Rejection::BodyLate(Limit::BodyTime)),
        }
    }
}

/// The fields of a form.
pub(super) struct Form(Bytes);

impl Form {
    /// Returns the value of a field, if it is given once.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let fields = form_urlencoded::parse(&self.0);
        let mut values = fields.filter(|(field, _)| field == name);
        let (_, value) = values.next()?;
        values.next().is_none().then(|| value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_decoded_and_counts_only_if_it_is_given_once() {
        let form = Form(Bytes::from_static(b"a=1+%26+2&b=&c=1&c=2"));
        let field = |name| form.field(name);
        assert_eq!(field("a").as_deref(), Some("1 & 2"));
        assert_eq!(field("b").as_deref(), Some(""));
        assert_eq!((field("c"), field("d")), (None, None));
    }
}
