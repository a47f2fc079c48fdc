//! `X-Forwarded-For`: each proxy adds, at the right, the address that it was reached from. Pure.
//!
//! So the header is read from the right, for as long as the entries are addresses of proxies. The
//! first other address is the client's. Nothing left of it, or of an entry that is no address, is
//! ever believed: no known proxy has written it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str;

/// Returns the address of the client whose request came from the address `proxy`, by the header's
/// lines in their order.
pub(super) fn client<'a>(
    proxy: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    is_proxy: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = proxy;
    for entry in lines
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
    {
        let Some(address) = address(entry.trim_ascii()) else {
            break;
        };
        client = address;
        if !is_proxy(address) {
            break;
        }
    }
    client
}

/// Parses an address as proxies write it: alone or with a port, IPv6 with or without brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let address = text
        .parse()
        .ok()
        .or_else(|| bracketed(text))
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// Parses `[2001:db8::1]`.
fn bracketed(text: &str) -> Option<IpAddr> {
    let address: Ipv6Addr = text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(address.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn parse(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Returns the client of a request, where `10.0.0.0/8` and `::1` are proxies and one of them
    /// has sent it.
    fn client_of(lines: &[&str]) -> IpAddr {
        let lines = lines.iter().map(|line| line.as_bytes());
        client(parse(PROXY), lines, |address| {
            address == parse("::1") || address.to_string().starts_with("10.")
        })
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxy_is_the_clients() {
        for (lines, expected) in [
            (&[][..], PROXY),
            (&[""], PROXY),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9,192.0.2.1 , 10.1.1.1,::1"], "192.0.2.1"),
            (&["192.0.2.9", "192.0.2.1", "10.1.1.1"], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1", "10.1.1.1, 10.2.2.2"], "192.0.2.1"),
            (&["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, ::ffff:10.1.1.1"], "192.0.2.1"),
        ] {
            assert_eq!(client_of(lines), parse(expected), "{lines:?}");
        }
    }

    #[test]
    fn addresses_may_have_ports_and_brackets() {
        for (entry, expected) in [
            ("192.0.2.1:5678", "192.0.2.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            (" \t192.0.2.1\t", "192.0.2.1"),
        ] {
            assert_eq!(client_of(&[entry]), parse(expected), "{entry:?}");
        }
    }

    #[test]
    fn nothing_left_of_an_entry_that_is_no_address_counts() {
        for bad in [
            "unknown",
            "",
            "_hidden",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "[192.0.2.1]",
            "[::1",
            "\"::1\"",
            "é",
        ] {
            let check = |line: String, expected: &str| {
                assert_eq!(client_of(&[&line]), parse(expected), "{line:?}");
            };
            check(bad.to_owned(), PROXY);
            check(format!("192.0.2.9, {bad}"), PROXY);
            check(format!("192.0.2.9, {bad}, 10.1.1.1"), "10.1.1.1");
            check(
                format!("192.0.2.9, {bad}, 192.0.2.1, 10.1.1.1"),
                "192.0.2.1",
            );
        }
    }

    proptest! {
        #[test]
        fn the_proxys_entry_counts_whatever_the_client_sends(
            lines in prop::collection::vec("[ -~]{0,40}", 0..4),
            spoofed in any::<[u8; 4]>(),
        ) {
            let spoofed = IpAddr::from(spoofed).to_string();
            let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            lines.push(&spoofed);
            // Appended to the client's last line, or as a line of its own.
            lines.push("192.0.2.1");
            prop_assert_eq!(client_of(&lines), parse("192.0.2.1"));
            let joined = lines.join(", ");
            prop_assert_eq!(client_of(&[&joined]), parse("192.0.2.1"));
        }
    }
}
