//! Values that are written as text: sizes, durations and addresses. Their limits are in
//! [`rules`](super::rules).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::size;

/// Reads bytes from `"8 MiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let parse = |text: &str| size::parse(text).and_then(|size| usize::try_from(size).ok());
    deserializer.deserialize_str(Text {
        expected: "a size with its unit, such as \"8 MiB\"",
        parse,
    })
}

/// Reads a duration from `"10s"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let parse = |text: &str| humantime::parse_duration(text).ok();
    deserializer.deserialize_str(Text {
        expected: "a duration with its unit, such as \"10s\"",
        parse,
    })
}

/// Reads an address from `"127.0.0.1:8080"` or `"[::1]:8080"`.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let parse = |text: &str| text.parse().ok();
    deserializer.deserialize_str(Text {
        expected: "an IP address and port, such as \"127.0.0.1:8080\"",
        parse,
    })
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
    let parse = |text: &str| {
        let address = || Some(text.parse::<IpAddr>().ok()?.to_canonical().into());
        text.parse().ok().or_else(address)
    };
    let expected = "an IP address or a network, such as \"10.0.0.0/8\"";
    deserializer.deserialize_str(Text { expected, parse })
}

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
