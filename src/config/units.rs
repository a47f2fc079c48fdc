//! Values with a form of their own: sizes, durations, addresses, and numbers whose type carries
//! their limits. All other limits are in [`rules`](super::rules).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::size;

/// The most failed logins a minute that can be allowed.
pub(super) const FAILURES_MAX: u32 = 1_000_000;

/// Reads bytes from `"8 MiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "a size with its unit, such as \"8 MiB\"",
        parse: |text: &str| size::parse(text).and_then(|size| usize::try_from(size).ok()),
    })
}

/// Reads a duration from `"10s"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "a duration with its unit, such as \"10s\"",
        parse: |text: &str| humantime::parse_duration(text).ok(),
    })
}

/// Reads an address from `"127.0.0.1:8080"` or `"[::1]:8080"`.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "an IP address and port, such as \"127.0.0.1:8080\"",
        parse: |text: &str| text.parse().ok(),
    })
}

/// Reads a URL without a path from `"https://iem.example.com/"`, without the slash at its end, or
/// nothing.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "a URL of http or https with a host alone, such as \"https://iem.example.com\"",
        parse: |text: &str| {
            let text = match text.strip_suffix('/') {
                Some(text) if !text.is_empty() => text,
                _ => text,
            };
            let host = text
                .strip_prefix("https://")
                .or_else(|| text.strip_prefix("http://"));
            let is_good = text.is_empty() || host.is_some_and(is_authority);
            is_good.then(|| text.to_owned())
        },
    })
}

/// Reads a URL that may have a path and a query, or nothing. It stays as it is written.
pub(super) fn page_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "a URL of http or https, such as \"https://idp.example.com/realms/iem\"",
        parse: |text: &str| {
            let in_path =
                |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c);
            let is_good = text.is_empty()
                || parts_of(text).is_some_and(|(_, authority, rest)| {
                    is_authority(authority) && rest.chars().all(in_path)
                });
            is_good.then(|| text.to_owned())
        },
    })
}

/// Splits a URL of http or https: whether it is https, the authority, and what is behind.
fn parts_of(url: &str) -> Option<(bool, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_https = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    Some((is_https, authority, rest))
}

/// Returns whether what is read at this URL comes from its server alone: it is of https, or on
/// loopback.
pub fn is_safe_url(url: &str) -> bool {
    parts_of(url).is_some_and(|(is_https, authority, _)| is_https || is_on_loopback(authority))
}

/// Returns whether an authority is of this machine.
pub(super) fn is_on_loopback(authority: &str) -> bool {
    let has_port = authority.rfind(':') > authority.rfind(']');
    let end = authority.rfind(':').filter(|_| has_port);
    let host = &authority[..end.unwrap_or(authority.len())];
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|it| it.is_loopback())
}

/// Returns whether this is a host, by name or address, with or without a port (RFC 3986, section
/// 3.2, without user information).
pub fn is_authority(text: &str) -> bool {
    let (is_host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or_default();
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let in_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
        let is_host = labels.all(|label| !label.is_empty() && label.chars().all(in_label));
        (is_host && host.len() <= 253, port)
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// Reads networks from `["10.0.0.0/8", "::1"]`.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    #[derive(Deserialize)]
    struct Network(#[serde(deserialize_with = "network")] IpNet);
    Ok(Vec::<Network>::deserialize(deserializer)?
        .into_iter()
        .map(|Network(network)| network)
        .collect())
}

fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    deserializer.deserialize_str(Text {
        expected: "an IP address or a network, such as \"10.0.0.0/8\"",
        parse: |text: &str| text.parse().ok().or_else(|| single_address(text)),
    })
}

/// Parses an IP address as the network that has this address alone.
fn single_address(text: &str) -> Option<IpNet> {
    Some(text.parse::<IpAddr>().ok()?.to_canonical().into())
}

/// Reads a number of failed logins a minute, 1 to [`FAILURES_MAX`].
pub(super) fn failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU32, D::Error> {
    let count = usize::deserialize(deserializer)?;
    u32::try_from(count)
        .ok()
        .filter(|count| *count <= FAILURES_MAX)
        .and_then(NonZeroU32::new)
        .ok_or_else(|| D::Error::custom(format!("must be 1 to {FAILURES_MAX}, is {count}")))
}

/// Reads a number a second; 0 stands for no limit.
pub(super) fn rate<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NonZeroU32>, D::Error> {
    let count = usize::deserialize(deserializer)?;
    u32::try_from(count)
        .map(NonZeroU32::new)
        .map_err(|_| D::Error::custom(format!("must be 0 to {}, is {count}", u32::MAX)))
}

/// Reads bytes a second from `"2 MiB"`; `"0 B"` stands for no limit.
pub(super) fn byte_rate<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NonZeroU32>, D::Error> {
    let bytes = size(deserializer)?;
    u32::try_from(bytes)
        .map(NonZeroU32::new)
        .map_err(|_| D::Error::custom(format!("must be less than 4 GiB, is {bytes} B")))
}

/// A value that is parsed from text, and the words for it in an error.
struct Text<F> {
    expected: &'static str,
    parse: F,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_safe_by_https_or_on_loopback() {
        for text in [
            "https://idp.example",
            "https://10.0.0.1/realms/iem?a=b",
            "http://127.0.0.1:80/x",
            "http://localhost?x",
            "http://[::1]/x",
        ] {
            assert!(is_safe_url(text), "{text}");
        }
        for text in [
            "",
            "http://idp.example/127.0.0.1",
            "http://idp.example?@localhost",
            "http://localhost.example",
            "ftp://localhost",
            "//localhost",
            "HTTP://localhost",
        ] {
            assert!(!is_safe_url(text), "{text}");
        }
    }

    #[test]
    fn an_authority_is_a_host_with_or_without_a_port() {
        for text in [
            "iem.example.com",
            "iem.example.com:8443",
            "localhost",
            "192.0.2.1:80",
            "[2001:db8::1]",
            "[::1]:8080",
            "under_score.example.",
        ] {
            assert!(is_authority(text), "{text}");
        }
        for text in [
            "",
            ".",
            "[",
            ":::",
            "[::1",
            "[x]",
            "a..b",
            "a:",
            "a:0",
            "a:65536",
            "a:b",
            "user@a",
            "a/b",
            "a b",
            "ä.example",
        ] {
            assert!(!is_authority(text), "{text}");
        }
    }
}
