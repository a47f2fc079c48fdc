//! Each field of the header, at its bounds, and headers of any addresses with anything behind them.

use proptest::prelude::*;

use super::*;

fn head(version: u8, family: u8, rest: usize) -> Vec<u8> {
    let length = u16::try_from(rest).expect("16 bits");
    [&SIGNATURE[..], &[version, family], &length.to_be_bytes()].concat()
}

/// A header for a connection over TCP.
fn header(source: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
    let (family, addresses) = match source.ip() {
        IpAddr::V4(address) => (0x11, [address.octets(), [192, 0, 2, 255]].concat()),
        IpAddr::V6(address) => (0x21, [address.octets(), [0xfe; 16]].concat()),
    };
    let rest = [
        &addresses[..],
        &source.port().to_be_bytes(),
        &443u16.to_be_bytes(),
        tlvs,
    ]
    .concat();
    [head(0x21, family, rest.len()), rest].concat()
}

/// Returns the result of reading these bytes, and how many of them are left.
fn read_from(bytes: &[u8]) -> (io::Result<Option<SocketAddr>>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut rest = bytes;
    let read = runtime.block_on(read(&mut rest));
    (read, rest.len())
}

#[track_caller]
fn rejected(bytes: &[u8], malformed: Malformed) {
    let error = read_from(bytes).0.expect_err("must be rejected");
    assert_eq!(error.to_string(), malformed.to_string());
}

#[test]
fn the_address_is_the_sources() {
    for text in ["192.0.2.1:5678", "[2001:db8::1]:443", "0.0.0.0:0"] {
        let source = text.parse().expect("an address");
        let bytes = [header(source, &[]), b"GET".to_vec()].concat();
        let (read, left) = read_from(&bytes);
        assert_eq!((read.expect("a header"), left), (Some(source), 3), "{text}");
    }
    let (mapped, _) = read_from(&header(
        "[::ffff:192.0.2.1]:1".parse().expect("an address"),
        &[],
    ));
    assert_eq!(
        mapped.expect("a header"),
        Some("192.0.2.1:1".parse().expect("an address"))
    );
}

#[test]
fn a_header_without_a_tcp_address_tells_no_client() {
    // LOCAL with and without addresses; then UNSPEC, UDP and UNIX, whose 216 bytes of addresses are
    // passed over.
    for (version, family, rest) in [
        (0x20, 0x00, 0),
        (0x20, 0x11, 12),
        (0x21, 0x00, 0),
        (0x21, 0x00, 100),
        (0x21, 0x12, 12),
        (0x21, 0x22, 36),
        (0x21, 0x31, 216),
        (0x21, 0x32, 216),
    ] {
        let bytes = [head(version, family, rest), vec![1; rest], b"GET".to_vec()].concat();
        let (read, left) = read_from(&bytes);
        assert_eq!(
            (read.expect("a header"), left),
            (None, 3),
            "{version:x} {family:x}"
        );
    }
}

#[test]
fn lengths_are_checked_at_their_bounds() {
    let source: SocketAddr = "192.0.2.1:5678".parse().expect("an address");
    let (read, left) = read_from(&header(source, &[0; REST_MAX - 12]));
    assert_eq!((read.expect("a header"), left), (Some(source), 0));
    rejected(&header(source, &[0; REST_MAX - 11]), Malformed::TooLarge);
    rejected(
        &[head(0x21, 0x11, 11), vec![1; 11]].concat(),
        Malformed::TooShort,
    );
    rejected(
        &[head(0x21, 0x21, 35), vec![1; 35]].concat(),
        Malformed::TooShort,
    );
    rejected(&head(0x21, 0x11, 0), Malformed::TooShort);
}

#[test]
fn bytes_that_are_no_such_header_are_rejected() {
    rejected(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5678 443\r\nGET / HTTP/1.1\r\n\r\n",
        Malformed::Signature,
    );
    rejected(
        b"GET /publish/healthcheck/ HTTP/1.1\r\n\r\n",
        Malformed::Signature,
    );
    rejected(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0",
        Malformed::Signature,
    );
    for (version, family) in [
        (0x11, 0x11),
        (0x31, 0x11),
        (0x01, 0x11),
        (0x22, 0x11),
        (0x2f, 0x11),
        (0x21, 0x13),
        (0x21, 0x41),
        (0x21, 0xf1),
    ] {
        rejected(
            &[head(version, family, 12), vec![1; 12]].concat(),
            Malformed::Unknown,
        );
    }
}

proptest! {
    #[test]
    fn any_client_is_read_with_any_bytes_behind_the_header(
        v6: bool,
        octets: [u8; 16],
        port: u16,
        tlvs in prop::collection::vec(any::<u8>(), 0..300),
        behind in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let ip: IpAddr = if v6 {
            Ipv6Addr::from(octets).into()
        } else {
            Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()
        };
        let bytes = [header(SocketAddr::new(ip, port), &tlvs), behind.clone()].concat();
        let (read, left) = read_from(&bytes);
        prop_assert_eq!(read.expect("a header"), Some(SocketAddr::new(ip.to_canonical(), port)));
        prop_assert_eq!(left, behind.len());
    }

    #[test]
    fn a_header_that_breaks_off_is_an_error(length in 0_usize..28) {
        let whole = header("192.0.2.1:5678".parse().expect("an address"), &[]);
        prop_assert_eq!(whole.len(), 28);
        prop_assert!(read_from(&whole[..length]).0.is_err());
    }

    #[test]
    fn any_bytes_end_in_a_result(
        begins: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let start = if begins { &SIGNATURE[..] } else { &[] };
        let _ = read_from(&[start, &bytes].concat());
    }
}
