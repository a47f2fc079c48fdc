//! The attributes of an event in binary mode, which are headers.
//!
//! Source: HTTP binding of `CloudEvents` 1.0.2, section 3.1.3.2,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>.

use std::borrow::Cow;

use hyper::HeaderMap;
use percent_encoding::percent_decode;

use crate::http::api::ingest::rejection;
use crate::http::api::rejection::Rejection;
use crate::record::{ATTRIBUTE_COUNT, ATTRIBUTE_HEADERS, BodyFault, EventFault, Kind};

/// The place of the header with the type.
const TYPE: &str = "ce-type";

/// Returns the values of [`ATTRIBUTE_HEADERS`], decoded.
pub(super) fn attributes(
    headers: &HeaderMap,
) -> Result<[Option<String>; ATTRIBUTE_COUNT], Rejection> {
    let mut values = [const { None }; ATTRIBUTE_COUNT];
    for (value, name) in values.iter_mut().zip(ATTRIBUTE_HEADERS) {
        *value = attribute(headers, name).map_err(|fault| {
            rejection(BodyFault::Malformed {
                record: None,
                malformed: fault.into(),
            })
        })?;
    }
    Ok(values)
}

/// Returns the kind of the event, if its type is one that there is.
pub(super) fn kind(headers: &HeaderMap) -> Option<Kind> {
    let event_type = attribute(headers, TYPE).ok()??;
    Kind::of_event_type(&event_type)
}

fn attribute(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, EventFault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(EventFault::Repeated { name });
    }
    let value = value.as_bytes();
    let decoded = if name.starts_with("ce-") {
        percent_decode(&unquoted(value)).collect()
    } else {
        value.to_vec()
    };
    String::from_utf8(decoded)
        .map(Some)
        .map_err(|_| EventFault::NotUnicode { name })
}

/// Returns a value without the quotes around it and the backslashes within them (RFC 7230, section
/// 3.2.6), which earlier versions of the binding allowed.
fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', quoted @ .., b'"'] = value else {
        return Cow::Borrowed(value);
    };
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        let escaped = (*byte == b'\\').then(|| bytes.next()).flatten();
        text.push(*escaped.unwrap_or(byte));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};
    use serde_json::Value;

    use super::*;
    use crate::http::api::openapi;

    #[test]
    fn the_openapi_document_has_each_header() {
        let document: Value = serde_json::from_str(openapi::DOCUMENT).expect("it is JSON");
        let parameters = &document["components"]["parameters"];
        let operation = &document["paths"]["/cloudevents/"]["post"];
        let references = operation["parameters"].as_array().expect("a list");
        let documented = references.iter().filter_map(|reference| {
            let name = reference["$ref"].as_str()?.rsplit('/').next()?;
            parameters[name]["name"].as_str()
        });
        let documented: Vec<_> = documented.filter(|name| name.starts_with("ce-")).collect();
        let mut read = ATTRIBUTE_HEADERS.to_vec();
        read.retain(|name| name.starts_with("ce-"));
        assert_eq!(documented, read);
    }

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_bytes(value).expect("a value");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    #[test]
    fn values_are_unquoted_and_percent_decoded_once() {
        for (value, expected) in [
            ("a", "a"),
            ("", ""),
            ("Euro%20%E2%82%AC%20%f0%9f%98%80", "Euro € 😀"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("\"a b\"", "a b"),
            (r#""a\"b\\""#, r#"a"b\"#),
            (r#""a%22""#, r#"a""#),
            ("\"", "\""),
            ("ä", "ä"),
        ] {
            let headers = headers(&[("ce-id", value.as_bytes())]);
            let found = attribute(&headers, "ce-id");
            assert_eq!(found, Ok(Some(expected.to_owned())), "{value}");
        }
    }

    #[test]
    fn a_header_without_text_and_one_that_comes_twice_are_faults() {
        let name = "ce-id";
        for value in [&b"%ff"[..], b"\xff", b"%C3"] {
            let headers = headers(&[(name, value)]);
            let fault = EventFault::NotUnicode { name };
            assert_eq!(attribute(&headers, name), Err(fault));
        }
        let twice = headers(&[(name, b"a"), (name, b"a")]);
        assert_eq!(attribute(&twice, name), Err(EventFault::Repeated { name }));
        assert_eq!(attribute(&HeaderMap::new(), name), Ok(None));
    }

    #[test]
    fn the_type_tells_the_kind_before_the_body_is_read() {
        let check = |value: &[u8], expected| {
            assert_eq!(kind(&headers(&[(TYPE, value)])), expected);
        };
        check(b"iem.metric", Some(Kind::Metric));
        check(b"iem%2Emetric", Some(Kind::Metric));
        check(b"x", None);
        assert_eq!(kind(&HeaderMap::new()), None);
    }

    #[test]
    fn the_media_type_of_the_data_is_no_attribute_to_decode() {
        let headers = headers(&[
            ("content-type", b"application/json; a=\"%41\""),
            ("ce-type", b"t"),
        ]);
        let values = attributes(&headers).expect("attributes");
        assert_eq!(values[3].as_deref(), Some("t"));
        assert_eq!(values[4].as_deref(), Some("application/json; a=\"%41\""));
    }
}
