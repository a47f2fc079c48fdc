//! The checks of a request's head before its endpoint is called. Pure.
//!
//! They reject a head that hyper accepts, but that a proxy in front of the gateway may read
//! differently. hyper finds the end of a body: it rejects bytes that are not HTTP. If a request has
//! both a length and a transfer coding, it follows the coding and closes the connection afterwards
//! (RFC 9112, section 6.1). The size and the time of the head are limited before this file is
//! called.

use hyper::header::{HOST, HeaderName, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};

use super::rejection::Rejection;
use crate::config;

/// Rejects a head that is ambiguous or exceeds a limit.
pub(super) fn check(head: &Parts, server: &config::Server) -> Result<(), Rejection> {
    if !has_one_reading(head) {
        return Err(Rejection::Ambiguous);
    }
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    if target.len() > server.max_uri {
        return Err(Rejection::UriTooLong {
            limit: server.max_uri,
        });
    }
    if head.headers.len() > server.max_headers {
        return Err(Rejection::TooManyHeaders {
            limit: server.max_headers,
        });
    }
    Ok(())
}

/// Returns whether every server reads the head alike: it has one `Host`, which HTTP/1.0 may leave
/// out (RFC 9112, section 3.2), and no transfer coding but one `chunked`. HTTP/2 depends on
/// neither.
fn has_one_reading(head: &Parts) -> bool {
    let hosts = count(&head.headers, HOST);
    let has_its_host = match head.version {
        Version::HTTP_11 => hosts == 1,
        Version::HTTP_10 => hosts <= 1,
        _ => return true,
    };
    let has_its_coding = match count(&head.headers, TRANSFER_ENCODING) {
        0 => true,
        1 => head.headers[TRANSFER_ENCODING]
            .as_bytes()
            .eq_ignore_ascii_case(b"chunked"),
        _ => false,
    };
    has_its_host && has_its_coding
}

fn count(headers: &HeaderMap, name: HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    #[test]
    fn a_head_has_one_reading_or_several() {
        let check = |version: Version, fields: &[(&str, &str)], expected: bool| {
            let mut request = Request::builder().version(version);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let head = request.body(()).expect("a request").into_parts().0;
            assert_eq!(has_one_reading(&head), expected, "{version:?} {fields:?}");
        };
        let host = ("host", "gateway");
        let coding = |value| ("transfer-encoding", value);
        check(Version::HTTP_11, &[host], true);
        check(Version::HTTP_11, &[], false);
        check(Version::HTTP_11, &[host, host], false);
        check(Version::HTTP_10, &[], true);
        check(Version::HTTP_10, &[host], true);
        check(Version::HTTP_10, &[host, host], false);
        check(Version::HTTP_2, &[], true);
        check(Version::HTTP_2, &[host, host], true);
        check(Version::HTTP_11, &[host, coding("Chunked")], true);
        check(Version::HTTP_11, &[host, coding("gzip, chunked")], false);
        check(
            Version::HTTP_11,
            &[host, coding("identity"), coding("chunked")],
            false,
        );
        check(
            Version::HTTP_11,
            &[host, coding("chunked"), coding("chunked")],
            false,
        );
    }
}
