//! Values with a form of their own: sizes, durations, addresses, and numbers whose type carries
//! their limits. All other limits are in [`rules`](super::rules).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
