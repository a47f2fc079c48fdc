//! `X-Forwarded-For`: each proxy adds, at the right, the address that it was reached from. Pure.
//!
//! So it is read from the right, for as long as it is proxies' own addresses that stand there: what
//! stands left of the first other address, or of what is no address, has been written by nobody who
//! is known.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str;

/// The address of the client whose request has come from the address `proxy`, by the header's lines
/// in their order.
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

/// An address as proxies write it: alone or with a port, of IPv6 with or without brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6)
    };
    let alone = text.parse().ok().or_else(bracketed);
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn parse(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Whose request it is, where `10.0.0.0/8` and `::1` are proxies and one of them has sent it.
    fn client_of(lines: &[&str]) -> IpAddr {
        let is_proxy =
            |address: IpAddr| address == parse("::1") || address.to_string().starts_with("10.");
        client(
            parse(PROXY),
            lines.iter().map(|line| line.as_bytes()),
            is_proxy,
        )
    }

    #[test]
    fn the_first_from_the_right_that_is_no_proxy() {
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
    fn ports_and_brackets() {
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
    fn nothing_left_of_what_is_no_address_counts() {
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
        fn whatever_a_client_sends_the_proxys_word_holds(lines in prop::collection::vec("[ -~]{0,40}", 0..4), spoofed in any::<[u8; 4]>()) {
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
