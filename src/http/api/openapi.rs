//! `GET /openapi.json`: the description of the API in OpenAPI 3.1. It is written by hand, and tests
//! hold the routes, the answers and its examples against it.

use std::sync::LazyLock;

use hyper::HeaderMap;
use hyper::header::IF_NONE_MATCH;

use super::response::Success;
use crate::http::transport::Answer;

/// The document.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// The entity tag of the document, which follows from its bytes.
static TAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", blake3::hash(DOCUMENT.as_bytes()).to_hex()));

/// Answers the request.
pub(super) fn openapi(headers: &HeaderMap) -> Answer {
    let document = (!is_held(headers)).then_some(DOCUMENT);
    Success::OpenApi {
        document,
        tag: &TAG,
    }
    .into_answer()
}

/// Returns whether the client says that it has the document (RFC 9110, section 13.1.2).
fn is_held(headers: &HeaderMap) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tags.any(|tag| {
        let tag = tag.trim_ascii();
        tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == TAG.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_tag_is_found_in_every_form_of_the_header() {
        let check = |values: &[&str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_str(value).expect("a value");
                headers.append(IF_NONE_MATCH, value);
            }
            assert_eq!(is_held(&headers), expected, "{values:?}");
        };
        let tag = &**TAG;
        check(&[], false);
        check(&["\"other\""], false);
        check(&[&tag[1..tag.len() - 1]], false);
        check(&["*"], true);
        check(&[tag], true);
        check(&[&format!("W/{tag}")], true);
        check(&[&format!("\"other\" , {tag}")], true);
        check(&["\"other\"", tag], true);
    }
}
