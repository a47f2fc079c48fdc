//! The origin of a request, as far as a browser says it: the host that it believes to speak to,
//! and the site whose page has caused the request. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;

use crate::admin::head::one;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names by which a browser may reach a listener that asks for no log-in. Under any other name
/// the page of a stranger may be speaking, whose name server has given the name our address.
pub(super) struct Hosts {
    /// The host of the gateway's URL.
    name: Option<Box<str>>,
}

impl Hosts {
    /// Takes the gateway's URL, which may be empty.
    pub(super) fn new(url: &str) -> Self {
        let authority = url.split_once("://").map(|(_, authority)| authority);
        Self {
            name: authority.map(|authority| without_port(authority).into()),
        }
    }

    /// Whether the request is for one of them: an address, `localhost` or the gateway's own name.
    pub(super) fn are_asked(&self, head: &Parts) -> bool {
        let Some(host) = one(&head.headers, &HOST).and_then(|host| str::from_utf8(host).ok())
        else {
            return false;
        };
        let of_target = head.uri.host();
        self.knows(without_port(host)) && of_target.is_none_or(|host| self.knows(host))
    }

    fn knows(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_address = match bare {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.parse::<Ipv4Addr>().is_ok(),
        };
        let mut names = ["localhost"].into_iter().chain(self.name.as_deref());
        is_address || names.any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// Whether no page of another site has caused the request, as far as its browser says. Clients that
/// are no browsers say nothing.
pub(super) fn is_of_our_site(head: &Parts) -> bool {
    if head.headers.contains_key(SEC_FETCH_SITE) {
        return matches!(
            one(&head.headers, &SEC_FETCH_SITE),
            Some(b"same-origin" | b"none")
        );
    }
    if !head.headers.contains_key(ORIGIN) {
        return true;
    }
    let origin = one(&head.headers, &ORIGIN).and_then(|origin| {
        let secure = origin.strip_prefix(b"https://");
        secure.or_else(|| origin.strip_prefix(b"http://"))
    });
    match (origin, one(&head.headers, &HOST)) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_name_that_is_not_ours_is_not_known() {
        let hosts = Hosts::new("https://iem.example.com:8443");
        let check = |target: &str, names: &[&str], expected: bool| {
            let headers: Vec<_> = names.iter().map(|name| ("host", *name)).collect();
            let found = hosts.are_asked(&head(target, &headers));
            assert_eq!(found, expected, "{target} {names:?}");
        };
        for name in [
            "127.0.0.1:9090",
            "192.0.2.1",
            "[::1]:9090",
            "[2001:db8::1]",
            "localhost:9090",
            "LocalHost",
            "iem.example.com:9090",
            "IEM.example.com",
        ] {
            check("/", &[name], true);
        }
        for name in [
            "",
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.iem.example.com",
            "iem.example.com.evil.example",
            "127.0.0.1@evil.example",
            "::1",
            "[::1",
            "[evil]",
            "localhost ",
            "localhost:80:80",
        ] {
            check("/", &[name], false);
        }
        check("/", &[], false);
        check("/", &["localhost", "localhost"], false);
        check("http://localhost/", &["localhost"], true);
        check("http://evil.example/", &["localhost"], false);
        check("http://localhost/", &["evil.example"], false);
        assert!(!Hosts::new("").are_asked(&head("/", &[("host", "")])));
    }

    #[test]
    fn what_a_page_of_another_site_causes_is_told_from_the_rest() {
        let check = |headers: &[(&str, &str)], expected: bool| {
            let headers: Vec<_> = [("host", "gw:9090")]
                .iter()
                .chain(headers)
                .copied()
                .collect();
            assert_eq!(
                is_of_our_site(&head("/", &headers)),
                expected,
                "{headers:?}"
            );
        };
        check(&[], true);
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "")], false);
        let twice = ("sec-fetch-site", "same-origin");
        check(&[twice, twice], false);
        // A browser leaves the origin out of a form under some policies.
        check(&[twice, ("origin", "null")], true);
        check(&[("origin", "http://gw:9090")], true);
        check(&[("origin", "https://GW:9090")], true);
        check(&[("origin", "https://gw")], false);
        check(&[("origin", "https://evil.example")], false);
        check(&[("origin", "https://evil.example/gw:9090")], false);
        check(&[("origin", "gw:9090")], false);
        check(&[("origin", "null")], false);
        check(
            &[("origin", "http://gw:9090"), ("origin", "http://gw:9090")],
            false,
        );
    }
}
