//! What hyper lets pass of a request's head although the next reader on its way, or the one before,
//! may read it otherwise. Pure. Where a body ends is hyper's to say; it refuses what is no HTTP,
//! and ends the connection after a request with both a length and a transfer coding, which it reads
//! by the coding (RFC 9112, section 6.1).

use hyper::header::{HOST, HeaderName, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};

/// Whether the head has one reading: one `Host`, which HTTP/1.0 may leave out (RFC 9112, section
/// 3.2), and no transfer coding but `chunked`, said once. HTTP/2 has neither field to go by.
pub(super) fn has_one_reading(head: &Parts) -> bool {
    let hosts = count(&head.headers, HOST);
    let has_its_host = match head.version {
        Version::HTTP_11 => hosts == 1,
        Version::HTTP_10 => hosts <= 1,
        _ => return true,
    };
    let codings = count(&head.headers, TRANSFER_ENCODING);
    let is_chunked = |headers: &HeaderMap| {
        headers[TRANSFER_ENCODING]
            .as_bytes()
            .eq_ignore_ascii_case(b"chunked")
    };
    has_its_host && (codings == 0 || codings == 1 && is_chunked(&head.headers))
}

fn count(headers: &HeaderMap, name: HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    #[test]
    fn one_reading_or_several() {
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
