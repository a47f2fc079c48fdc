//! The URL of a server.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

const FORM: &str = "not a URL such as https://gateway.example:8443";

/// The URL of a server: scheme, host, port, and what stands before its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether connections are made over TLS.
    pub https: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The value of a `Host` header.
    pub authority: String,
    prefix: String,
}

impl Url {
    /// Returns the server of one page's URL, and the target of a request for that page.
    ///
    /// # Errors
    /// It is no URL of a page over HTTP, or it holds credentials.
    pub fn of_page(text: &str) -> Result<(Self, String), &'static str> {
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(FORM);
        };
        let server = format!("{scheme}://{authority}").parse()?;
        let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        Ok((server, target.to_owned()))
    }

    /// Returns the target of a request for one of the server's paths.
    pub fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(FORM),
        };
        let authority = uri.authority().ok_or(FORM)?.as_str();
        if authority.contains('@') {
            return Err("a URL on the command line must not hold credentials: other users see it");
        }
        if uri.query().is_some() {
            return Err(FORM);
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(FORM)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default_port = if https { 443 } else { 80 };
        Ok(Self {
            https,
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            authority: authority.to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        let is_ipv6 = self.host.parse::<Ipv6Addr>().is_ok();
        let (open, close) = if is_ipv6 { ("[", "]") } else { ("", "") };
        let Self {
            host, port, prefix, ..
        } = self;
        write!(f, "{scheme}://{open}{host}{close}:{port}{prefix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (text, expected, target, is_loopback) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/p", true),
            (
                "https://gateway.example/",
                "https://gateway.example:443",
                "/p",
                false,
            ),
            ("http://[::1]:80/", "http://[::1]:80", "/p", true),
            (
                "https://x:1/iem/v1/",
                "https://x:1/iem/v1",
                "/iem/v1/p",
                false,
            ),
            ("http://localhost", "http://localhost:80", "/p", true),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!(url.to_string(), expected);
            assert_eq!(url.target("/p"), target);
            assert_eq!(url.is_loopback(), is_loopback, "{text}");
        }
    }

    #[test]
    fn a_page_has_a_server_and_a_target() {
        for (text, server, target) in [
            (
                "https://idp.example/keys?p=one",
                "https://idp.example:443",
                "/keys?p=one",
            ),
            ("http://[::1]:81", "http://[::1]:81", "/"),
            ("https://idp.example/a/#b", "https://idp.example:443", "/a/"),
        ] {
            let (url, found) = Url::of_page(text).expect(text);
            assert_eq!((&*url.to_string(), &*found), (server, target));
        }
        for text in [
            "",
            "/keys",
            "idp.example",
            "ftp://a/b",
            "https://user@idp.example/keys",
        ] {
            assert!(Url::of_page(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_gateway_is_refused() {
        for text in [
            "",
            "127.0.0.1:8080",
            "gateway.example",
            "ftp://gateway.example",
            "http://",
            "http://a?b=c",
            "http://user:password@a",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }
}
